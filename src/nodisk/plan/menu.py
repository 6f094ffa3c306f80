"""The boot menu of a machine of the lab, in iPXE's language; GRUB's is ``plan.grub_menu``.

The menu holds no nonce: choosing the lab fetches a fresh script. Nor does it hold anything of an entry that asks
for a password: the server gives that only for the password. What needs no server (the disk, reboot, power off) works
without one.
"""

from __future__ import annotations

from nodisk.plan import boot, network
from nodisk.spec import menu
from nodisk.spec.model import Lab, Machine
from nodisk.spec.model_menu import MenuEntry

WITHOUT_TIMEOUT = 30
"""Seconds for the menu of a machine that shows none by itself, after what it started failed."""
_LINE = 70


def menu_script(lab: Lab, machine: Machine) -> str:
    """The menu, with the machine's default and time-out. Escape shows it again."""
    here, choice = _here(lab, machine), menu.choice(lab, machine)
    asking = [menu.SHELL, *(str(one.name) for one in lab.menu.entries if one.password)]
    free = [menu.LAB, *(str(one.name) for one in lab.menu.entries if not one.password)]
    return boot.script(
        ":menu",
        f"menu {heading(lab, machine)}"[:_LINE],
        *(f"item {name} {title}" for name, title in titles(lab)),
        f"choose --default {choice.default} --timeout {(choice.timeout or WITHOUT_TIMEOUT) * 1000} entry || goto menu",
        "goto go-${entry}",
        *(f":go-{name}" for name in free),
        f"chain --replace --autofree {here}?entry=${{entry}} ||",
        f"echo nodisk: {lab.network.server} does not answer",
        boot.PAUSE,
        "goto menu",
        ":go-disk",
        "# The server notes it; the disk boots without a server as well.",
        f"imgfetch --timeout 3000 --name told {here}?entry=disk ||",
        "imgfree told ||",
        *boot.DISK,
        "echo nodisk: this machine has no disk that boots",
        boot.PAUSE,
        "goto menu",
        ":go-reboot",
        "reboot",
        ":go-poweroff",
        "poweroff ||",
        "echo nodisk: this iPXE can not switch off; use the button",
        boot.PAUSE,
        "goto menu",
        *(f":go-{name}" for name in asking),
        *boot.by_password(lab, machine.mac, "${entry}"),
    )


def entry_script(lab: Lab, machine: Machine, name: str) -> str:
    """What starts one entry other than the lab, for a machine that asks for it or is to start it by itself.

    Where it does not start, it says so, and the menu comes. Raises KeyError for a name that is no such entry.
    """
    here, one = _here(lab, machine), menu.entry(lab, name)
    lines: tuple[str, ...]
    if name == menu.DISK:
        lines, failed = boot.DISK, "this machine has no disk that boots"
    elif name == menu.SHELL:
        lines, failed = ("echo exit leads to the menu", "shell ||"), "back from the shell"
    elif one is not None:
        lines, failed = _own(one), f"{name} has ended, or did not start"
    else:
        raise KeyError(name)
    return boot.script(
        *([boot.FORGET] if menu.asks(lab, name) else []),
        *lines,
        ":failed",
        "imgfree ||",
        f"echo nodisk: {failed}",
        boot.PAUSE,
        ":again",
        f"chain --replace --autofree {here}?entry={menu.MENU} ||",
        f"echo nodisk: {lab.network.server} does not answer; again in 5 seconds",
        "sleep 5",
        "goto again",
    )


def shell_script() -> str:
    """The shell for a machine that lab.yaml doesn't know, given for the password."""
    return boot.script(boot.FORGET, "shell ||", "reboot")


def heading(lab: Lab, machine: Machine) -> str:
    """The menu's title."""
    return f"nodisk: {machine.name} ({machine.role} of {lab.name}), {machine.address}"


def titles(lab: Lab) -> list[tuple[str, str]]:
    """Every entry and its line, in the order of the menu."""
    own = [(str(one.name), menu.title(one) + (" (password)" if one.password else "")) for one in lab.menu.entries]
    return [
        (menu.LAB, f"Kubernetes: a node of {lab.name}"),
        (menu.DISK, "The disk of this machine"),
        *own,
        (menu.SHELL, "iPXE shell (password)"),
        (menu.REBOOT, "Reboot"),
        (menu.POWEROFF, "Power off"),
    ]


def _own(one: MenuEntry) -> tuple[str, ...]:
    said = f"echo nodisk: {menu.title(one)}"
    if one.kernel is None:
        return (said, f"chain --autofree {one.url} ||")
    # A kernel that starts by UEFI finds its initramfs by this word (ipxe.org/cmd/initrd).
    words = [*(["initrd=initrd.img"] if one.initrd else []), *one.arguments.split()]
    return (
        said,
        "imgfree ||",
        f"kernel {' '.join((one.kernel, *words))} || goto failed",
        *([f"initrd --name initrd.img {one.initrd} || goto failed"] if one.initrd else []),
        "boot ||",
    )


def _here(lab: Lab, machine: Machine) -> str:
    return f"{network.server_url(lab)}/boot/{machine.mac.hyphened}.ipxe"
