"""The boot menu of a machine with Secure Boot, in GRUB's language; iPXE's is ``plan.menu``.

GRUB can't ask the server about a password. What it has itself, a hash in its configuration (``password_pbkdf2``), would
be there for anybody on the wire to try words on. So entries that ask for a password are left out, and its command line
and editor are shut. Left out as well is what GRUB can't load: anything but http on port 80 and tftp, and iPXE scripts.

As all of GRUB's scripts, these do nothing if they break off on the way: each is one function, called in its last line.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from nodisk.plan import menu as ipxe
from nodisk.plan.grub import DISK, DONE, ENTRY, LOCK, RETRY_SECONDS, on_server, quoted, script
from nodisk.spec import menu
from nodisk.spec.model import Lab, Machine
from nodisk.spec.model_menu import MenuEntry


def menu_script(lab: Lab, machine: Machine) -> str:
    """The menu, with the machine's default and time-out."""
    choice = menu.choice(lab, machine)
    own = [one for one in lab.menu.entries if offered(one)]
    titles = dict(ipxe.titles(lab))
    able = (menu.LAB, menu.DISK, *(str(one.name) for one in own))
    default = choice.default if choice.default in able else menu.DISK
    return script(
        "function nodisk_menu {",
        *(f"    {line}" for line in LOCK),
        f"    set timeout={choice.timeout or ipxe.WITHOUT_TIMEOUT}",
        f"    set default={_id(default)}",
        *_block(menu.LAB, titles[menu.LAB], "while true; do", *_lab(lab, machine), "done"),
        *_block(menu.DISK, titles[menu.DISK], *_disk(lab, machine)),
        *(line for one in own for line in _block(str(one.name), menu.title(one), *_own(one), *_back(lab, machine))),
        *_block(menu.REBOOT, titles[menu.REBOOT], "reboot"),
        *_block(menu.POWEROFF, titles[menu.POWEROFF], "halt"),
        f"    set {DONE}=yes",
        "}",
        "nodisk_menu",
    )


def entry_script(lab: Lab, machine: Machine, name: str) -> str:
    """What starts one entry other than the lab by itself; the menu where it does not start.

    What GRUB can't start (``offered``) it names, and shows the menu. Raises KeyError for a name that is no entry.
    """
    one = menu.entry(lab, name)
    if name == menu.DISK:
        lines = _disk(lab, machine)
    elif one is None or one.password:
        raise KeyError(name)
    elif offered(one):
        lines = [*_own(one), *_back(lab, machine)]
    else:
        lines = [f"echo {quoted(f'nodisk: GRUB can not start {name}')}", *_back(lab, machine)]
    return script("function nodisk_entry {", *(f"    {line.strip()}" for line in lines), "}", "nodisk_entry")


def offered(one: MenuEntry) -> bool:
    """Whether GRUB can start it."""
    urls = [url for url in (one.url, one.kernel, one.initrd) if url is not None]
    efi = one.url is None or urlsplit(one.url).path.lower().endswith(".efi")
    return not one.password and efi and all(_file(url) for url in urls)


def _block(name: str, title: str, *lines: str) -> list[str]:
    return [
        f"    menuentry {quoted(title)} --id {_id(name)} --unrestricted {{",
        *(f"        {line.strip()}" for line in lines),
        "    }",
    ]


def _id(name: str) -> str:
    """An entry's id: not its bare name, because GRUB takes a default of digits for the number of an entry."""
    return f"go-{name}"


def _lab(lab: Lab, machine: Machine) -> list[str]:
    """The machine's own script: it ends only where nothing came, and is asked for again."""
    return [
        f"source {on_server(lab, _path(machine, menu.LAB))}",
        f"echo {quoted(f'nodisk: no boot from {lab.network.server}; again in {RETRY_SECONDS} seconds')}",
        f"sleep {RETRY_SECONDS}",
    ]


def _disk(lab: Lab, machine: Machine) -> list[str]:
    return [*DISK, "echo 'nodisk: no disk of this machine has a system for UEFI'", *_back(lab, machine)]


def _own(one: MenuEntry) -> list[str]:
    said = f"echo {quoted(f'nodisk: {menu.title(one)}')}"
    if one.kernel is None:
        return [said, f"if chainloader {_file(one.url or '')}; then boot; fi"]
    words = " ".join((_file(one.kernel), *map(quoted, one.arguments.split())))
    boot = f"if initrd {_file(one.initrd)}; then boot; fi" if one.initrd else "boot"
    return [said, f"if linux {words}; then {boot}; fi"]


def _back(lab: Lab, machine: Machine) -> list[str]:
    """After what did not start: time to read it, and the menu; the whole configuration where the menu does not come."""
    return [
        "echo 'nodisk: it did not start; the menu comes'",
        f"sleep --interruptible {RETRY_SECONDS}",
        f"configfile {on_server(lab, _path(machine, menu.MENU))}",
        f"configfile {on_server(lab, f'/{ENTRY}')}",
    ]


def _path(machine: Machine, entry: str) -> str:
    return f"/grub/{machine.mac.hyphened}.cfg?entry={entry}"


def _file(url: str) -> str:
    """A URL as GRUB names a file, quoted; '' for one that it can't fetch."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "tftp") or parts.port is not None:
        return ""
    query = f"?{parts.query}" if parts.query else ""
    return quoted(f"({parts.scheme},{parts.hostname}){parts.path or '/'}{query}")
