"""What a machine with Secure Boot gets before Linux runs: GRUB's scripts. Their iPXE twins are in ``plan.boot``.

GRUB is the signed netboot image: it can load no module, so only what is inside may be used here (http, net, linux,
regexp, search, chain, sleep, smbios, test). It has no program that hashes a file. The kernel is checked by shim; of all
other files GRUB compares the length with the announced one, as iPXE does.

GRUB runs a script while it reads it, one complete command after another. So a script that breaks off on the way must
hold no complete command that does harm: a machine's is one function, which is nothing before its last brace.

Everything that comes from lab.yaml stands between single quotes, in which GRUB, like a shell, takes every character but
the single quote for itself (GRUB's manual, "Quoting").
"""

from __future__ import annotations

from nodisk.errors import NodiskError
from nodisk.plan import boot
from nodisk.plan.facts import Facts
from nodisk.spec.model import Lab, Machine
from nodisk.values import Mac

ENTRY = "grub/grub.cfg"
"""Where GRUB's netboot image looks for its configuration, below the root of the TFTP or HTTP server that it came from:
its prefix is ``/grub``, and ``grub.cfg`` the only name there that it tries (its test for others is always false on a
network file system)."""

_TRIES = 5
RETRY_SECONDS = 5
DONE = "nodisk_done"
LOADERS = ("/EFI/Microsoft/Boot/bootmgfw.efi", "/EFI/debian/shimx64.efi", "/EFI/BOOT/BOOTX64.EFI")
"""On a disk's EFI system partition, in this order."""
DISK = (
    f"    for loader in {' '.join(LOADERS)}; do",
    '        if search --no-floppy --file --set=root "$loader"; then',
    '            chainloader "$loader"',
    "            boot",
    "        fi",
    "    done",
)
"""Boots this machine's disk, as part of a block; what comes after it runs where there is none."""
LOCK = ("set superusers=nodisk", "export superusers")
"""Shuts GRUB's command line and editor, which would start any kernel with any argument: they are only for a superuser
who has given a password, and this one has none. Entries need ``--unrestricted`` then (GRUB's manual, "Authentication
and authorisation")."""


def quoted(text: str) -> str:
    """``text`` as one word of a GRUB script; raises ValueError for what no GRUB script can hold."""
    if any(character in text for character in "\0\n\r"):
        raise ValueError(f"no word of one line: {text!r}")
    return "'" + text.replace("'", r"'\''") + "'"


def entry_script(lab: Lab) -> str:
    """``/grub/grub.cfg``: runs the script of the NIC that GRUB was loaded by, until one says that it is done.

    ``source`` reports no failure. So the script sets a variable, and one that did not come leaves it unset. The first
    request says that a boot begins, as iPXE's does.
    """
    return script(
        f"set {DONE}=",
        "set nodisk_boot=new",
        'set nodisk_mac="$net_default_mac"',
        f'while [ -z "${DONE}" ]; do',
        # Quoted: outside of quotes, GRUB takes a ? for a wildcard.
        f'    source {on_server(lab, "/grub/")}"$nodisk_mac.cfg?boot=$nodisk_boot"',
        "    set nodisk_boot=same",
        f'    if [ -z "${DONE}" ]; then',
        f"        echo {quoted(f'nodisk: no boot from {lab.network.server}; again in {RETRY_SECONDS} seconds')}",
        f"        sleep {RETRY_SECONDS}",
        "    fi",
        "done",
    )


def address_script(lab: Lab, machine: Machine) -> str:
    """A known machine's script where it asks from an address that a pool gave it: it takes lab.yaml's, and asks again.

    GRUB takes the most specific route to a host, so one to the server alone decides which address it asks from, and the
    pool's can stay: GRUB frees an address that it deletes while routes and connections still point to it.

    Debian 13's GRUB, where it came by HTTP, uses the firmware's network (UEFI specification, IP4 Config II and HTTP
    protocols). There ``net_add_addr`` replaces the address, with which ``$net_default_ip`` and ``$net_default_mac`` go.
    It has no ``net_add_route``, says so, and needs none.
    """
    here = on_server(lab, f"/grub/{machine.mac.hyphened}.cfg?pool=")
    takes = f"nodisk: {machine.name} takes its address {machine.address}; the room's DHCP server gave it "
    return script(
        "function nodisk_address {",
        '    set nodisk_pool="$net_default_ip"',
        f'    echo {quoted(takes)}"$nodisk_pool"',
        f'    net_add_addr nodisk "$net_default_interface" {machine.address}',
        f"    net_add_route nodisk {lab.network.server} nodisk",
        f'    source {here}"$nodisk_pool&boot=$nodisk_boot"',
        "}",
        "nodisk_address",
    )


def address_in_use_script(lab: Lab, machine: Machine, holder: Mac) -> str:
    """The same where another device has the machine's address: it waits, and ``entry_script`` asks again."""
    return script(
        f"echo {quoted(f'nodisk: {machine.address}, the address of {machine.name}, is in use by {holder}')}",
        "echo 'Switch that device off, or give this machine another address in lab.yaml.'",
    )


def machine_script(lab: Lab, facts: Facts, machine: Machine, nonce: str | None) -> str:
    """A known machine's script: kernel, small initramfs, command line.

    It ends only where nothing came whole: then GRUB asks for a fresh one, as there may be another image by now.
    ``nonce`` is this boot's, or None while the lab is not armed. Raises NodiskError if the command line is too long.
    """
    kernel, initramfs = (on_server(lab, ref.url_path) for ref in (facts.image.kernel, facts.image.initramfs))
    words = " ".join(quoted(word) for word in arguments(lab, facts, machine, nonce))
    unarmed = [
        "nodisk: the lab is not armed: this machine will boot, but can not join the cluster.",
        "On the server: nodisk arm, then switch this machine off and on.",
    ]
    return script(
        "function nodisk_boot {",
        f"    echo {quoted(f'nodisk: {machine.name} ({machine.role} of {lab.name}), {machine.address}')}",
        *(f"    echo {quoted(line)}" for line in ([] if nonce else unarmed)),
        f"    for try in {' '.join(map(str, range(1, _TRIES + 1)))}; do",
        f"        if linux {kernel} {words}; then",
        f"            if initrd {initramfs}; then",
        "                boot",
        "            fi",
        "        fi",
        f'        echo "nodisk: kernel or initramfs did not come whole (try $try); again in {RETRY_SECONDS} seconds"',
        f"        sleep {RETRY_SECONDS}",
        "    done",
        "}",
        "nodisk_boot",
    )


def disk_script(lab: Lab, machine: Machine) -> str:
    """A known machine's script outside of lessons: its own disk, as in the menu of one that is not known.

    It never says that it is done: where it breaks off on the way, GRUB asks again.
    """
    return script(
        f"echo {quoted(f'nodisk: no lesson now in {lab.name}: {machine.name} boots its own disk')}",
        *_disk(),
    )


def arguments(lab: Lab, facts: Facts, machine: Machine, nonce: str | None) -> list[str]:
    """The kernel's arguments, as iPXE's script has them but for iPXE's own ``initrd=``.

    GRUB puts ``BOOT_IMAGE=`` and the kernel's path before them. Raises NodiskError if the kernel would not read it all.
    """
    words = [word for word in boot.command_line(lab, facts, machine, nonce).split() if not word.startswith("initrd=")]
    line = " ".join((f"BOOT_IMAGE=(http,{lab.network.server}){facts.image.kernel.url_path}", *words))
    if len(line) > boot.COMMAND_LINE_LIMIT:
        raise NodiskError(
            f"{machine.name}: the kernel's command line has {len(line)} characters under GRUB, "
            f"it reads {boot.COMMAND_LINE_LIMIT}",
            hint="shorten the names of the lab, the machine or the image",
        )
    return words


def unknown_script(lab: Lab, mac: Mac) -> str:
    """The menu of a machine that lab.yaml doesn't know; the same for all of them but for the MAC that it shows.

    What SMBIOS says goes into a URL, so everything but letters, digits and ``._-`` becomes ``+``, a blank.
    """
    here = on_server(lab, f"/grub/{mac.hyphened}.cfg")
    title = f"Boot from the disk of this machine ({lab.name} does not know {mac})"
    return script(
        *LOCK,
        f"set {DONE}=yes",
        "set timeout=30",
        "set default=disk",
        "function nodisk_plain {",
        '    set nodisk_word="$1"',
        "    while regexp --set=1:nodisk_left --set=2:nodisk_right"
        " '^([A-Za-z0-9._+-]*)[^A-Za-z0-9._+-](.*)$' \"$nodisk_word\"; do",
        '        set nodisk_word="$nodisk_left+$nodisk_right"',
        "    done",
        "}",
        f"menuentry {quoted(title)} --id disk --unrestricted {{",
        *(f"    {line}" for line in _disk()),
        "}",
        "menuentry 'Tell the server who I am, and show what to add to lab.yaml' --id who --unrestricted {",
        "    set nodisk_who='platform=efi'",
        *_ask_smbios(("manufacturer", 4), ("product", 5), ("serial", 7)),
        f'    if [ -s {here}"?$nodisk_who" ]; then',
        "        echo 'The server has noted it.'",
        "    else",
        "        echo 'The server could not be told.'",
        "    fi",
        "    echo",
        "    echo 'In lab.yaml, under machines:, add'",
        f"    echo {quoted(f'  - {{name: NAME, mac: {mac}, address: ADDRESS}}')}",
        "    echo 'with a free name and a free address, then ask again. Escape leads to the menu.'",
        "    sleep --interruptible 120",
        "}",
        f"menuentry 'Ask again' --id again --unrestricted {{ configfile {on_server(lab, f'/{ENTRY}')} }}",
    )


def _disk() -> list[str]:
    """Lines that start the first system on a disk."""
    return [
        *(line[4:] for line in DISK),
        "echo 'No disk of this machine has a system for UEFI: back to the firmware.'",
        "sleep --interruptible 5",
        "exit",
    ]


def _ask_smbios(*fields: tuple[str, int]) -> list[str]:
    """Lines that add these strings of SMBIOS' table 1 (its offsets: DMTF DSP0134, 7.2) to ``nodisk_who``."""
    lines: list[str] = []
    for name, offset in fields:
        lines += [
            "    set nodisk_said=",
            f"    smbios --type 1 --get-string {offset} --set nodisk_said",
            '    nodisk_plain "$nodisk_said"',
            f'    set nodisk_who="$nodisk_who&{name}=$nodisk_word"',
        ]
    return lines


def on_server(lab: Lab, path: str) -> str:
    """A file of the server as GRUB names it, quoted."""
    return quoted(f"(http,{lab.network.server}){path}")


def script(*lines: str) -> str:
    """A GRUB script of these lines."""
    return "\n".join((*lines, ""))
