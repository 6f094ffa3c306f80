"""What a machine gets before Linux runs: iPXE scripts and the kernel's command line.

All of it is public: anyone on the wire may read it. The one-time nonce is worth nothing from another address, after
its minutes, or a second time.

iPXE can send nothing but the menu's password: what the server sees is which files a machine fetches.
"""

from __future__ import annotations

from nodisk import ports
from nodisk.errors import NodiskError
from nodisk.plan import network
from nodisk.plan.budget import overlay_mib
from nodisk.plan.facts import Facts, ImageFacts
from nodisk.spec import menu
from nodisk.spec.model import Lab, Machine
from nodisk.values import Mac

COMMAND_LINE_LIMIT = 2047
"""Characters: the kernel cuts off the rest (COMMAND_LINE_SIZE on x86, its final zero taken off)."""

NO_ARM64 = "there is no arm64 image yet: this machine can not join"

EMULATED = ("tsc=reliable", "mitigations=off", "cgroup_disable=hugetlb,rdma,misc,pressure")
"""For a machine that QEMU emulates (kernel-parameters.txt).

Its time stamp counter is the host's, the same on all its processors. On a busy host the kernel's watchdog blames it for
the watchdog's own delays, and takes the HPET, which costs an exit to QEMU for every look at the clock. And QEMU
emulates no speculative execution: there is nothing to mitigate. Every two seconds kubelet looks at each file of its
cgroups, once for each controller, which is most of what an idle one does: without those that no pod here uses, it took
14 % less of a processor than its neighbour in one lab.
"""

_RETRY_SECONDS = 5
DISK = (
    "# By UEFI back to the firmware, which tries its next boot device.",
    "iseq ${platform} efi && echo nodisk: back to the firmware, for its next boot device ||",
    "iseq ${platform} efi && exit || sanboot --no-describe --drive 0x80 ||",
)
"""Boots this machine's disk; what comes after it runs where there is none."""

FORGET = "clear password ||"
"""The first line of what comes for a password: whatever runs after it can't read it from iPXE's settings."""

PAUSE = "prompt --timeout 10000 Press a key for the menu ||"
"""Time to read what went wrong."""

LLDP = {"chassis": 1, "port": 2, "system": 5}
"""What iPXE is asked of the switch's LLDP, and the type of its TLV (IEEE 802.1AB section 8.4)."""

# A maker's text may hold anything, and iPXE writes its & and + into a URL as they are, `uristring` or not: so the texts
# go as hexadecimal digits (`records.sightings` reads them). Numbers, UUIDs and ids are fit for a URL by themselves.
_WHO = "&".join(
    (
        *(f"hex.{field}=${{{field}:hexraw}}" for field in ("manufacturer", "product", "serial")),
        "uuid=${uuid}",
        # Whole values with their subtypes, as iPXE heard them (its include/ipxe/lldp.h); empty if it heard none.
        *(f"hex.{field}=${{netX.lldp/{kind}.0.0.0:hexraw}}" for field, kind in LLDP.items()),
    )
)
"""What a machine says of its mainboard and of its place, as part of a URL's query."""


def entry_script(lab: Lab) -> str:
    """``/boot.ipxe``: chains to the script of the NIC that iPXE booted from.

    ``netX`` is the NIC opened last, which is the one whose DHCP worked: net0 may be another NIC of the machine. What
    kind of NIC it is (ipxe.org/cfg/busid) tells which firmware its driver may need, and the mainboard whether two
    machines have one MAC. The first request says that a boot begins; whatever is asked after it, because an answer was
    lost, belongs to the same boot. A machine for which there is no image is told so, and goes no further.
    """
    server = network.server_url(lab)
    return script(
        "iseq ${buildarch} arm64 && goto arm64 ||",
        "isset ${netX/mac} && set card ${netX/mac:hexhyp} || set card ${net0/mac:hexhyp}",
        "set nodisk-boot new",
        ":again",
        f"chain --replace --autofree {server}/boot/${{card}}.ipxe"
        f"?busid=${{netX/busid}}&boot=${{nodisk-boot}}&{_WHO} ||",
        "set nodisk-boot same",
        f"echo nodisk: no boot script from {lab.network.server}; again in {_RETRY_SECONDS} seconds (is the server up?)",
        f"sleep {_RETRY_SECONDS}",
        "goto again",
        ":arm64",
        f"echo nodisk: {NO_ARM64}",
        "echo Take it out of the firmware's order of boot devices; back to the firmware in a minute.",
        "sleep 60",
        "exit",
    )


def address_script(lab: Lab, machine: Machine) -> str:
    """A known machine's script where it asks from an address that a pool gave it: it takes lab.yaml's, and asks again.

    So the room's DHCP server needs no reservations. The address goes onto the NIC that iPXE booted from; a NIC's own
    settings count before those of its DHCP lease. Where the server does not answer the new address, the machine goes
    back to the old one and starts over.
    """
    server, address, gateway = network.server_url(lab), machine.address, lab.network.gateway
    here = f"{server}/boot/{machine.mac.hyphened}.ipxe"
    return script(
        "isset ${netX/mac} && set nic netX || set nic net0",
        "set pool ${${nic}/ip}",
        f"echo nodisk: {machine.name} takes its address {address}; the room's DHCP server gave it ${{pool}}",
        f"set ${{nic}}/ip {address}",
        f"set ${{nic}}/netmask {lab.network.subnet.netmask}",
        *([f"set ${{nic}}/gateway {gateway}"] if gateway else []),
        f"chain --replace --autofree {here}?pool=${{pool}}&busid=${{${{nic}}/busid}}&boot=${{nodisk-boot}}&{_WHO} ||",
        "set nodisk-boot same",
        "clear ${nic}/ip",
        "clear ${nic}/netmask",
        *(["clear ${nic}/gateway"] if gateway else []),
        ":again",
        f"echo nodisk: {lab.network.server} does not answer; again in {_RETRY_SECONDS} seconds (is the server up?)",
        f"sleep {_RETRY_SECONDS}",
        f"chain --replace --autofree {here} || goto again",
    )


def address_in_use_script(lab: Lab, machine: Machine, holder: Mac) -> str:
    """The same where another device has the machine's address: it waits, because two with one address reach nobody."""
    server = network.server_url(lab)
    return script(
        ":again",
        f"echo nodisk: {machine.address}, the address of {machine.name}, is in use by {holder}",
        "echo Switch that device off, or give this machine another address in lab.yaml.",
        f"sleep {_RETRY_SECONDS}",
        f"chain --replace --autofree {server}/boot/{machine.mac.hyphened}.ipxe || goto again",
    )


def twin_script(machine: Machine) -> str:
    """The same where another machine with this MAC runs: it boots nothing, and gives the address up at once.

    Two that answer for one address would take the running one off the network.
    """
    return script(
        "isset ${netX/mac} && ifclose netX || ifclose",
        f"echo nodisk: another machine with this MAC ({machine.mac}) is running as {machine.name}.",
        "echo The lab's server says which: nodisk events --alarms",
        "prompt Press a key to start over ||",
        "reboot",
    )


def machine_script(lab: Lab, facts: Facts, machine: Machine, nonce: str | None) -> str:
    """A known machine's script: kernel, small initramfs, command line.

    ``nonce`` is this boot's, or None while the lab is not armed: the machine boots and says that it can't join.
    """
    server = network.server_url(lab)
    lab_again = "" if menu.choice(lab, machine) == menu.Choice(menu.LAB, 0) else f"?entry={menu.LAB}"
    armed = (
        []
        if nonce
        else [
            "echo nodisk: the lab is not armed: this machine will boot, but can not join the cluster.",
            "echo On the server: nodisk arm, then switch this machine off and on.",
        ]
    )
    return script(
        f"echo nodisk: {machine.name} ({machine.role} of {lab.name}), {machine.address}",
        *armed,
        "set tries:int32 0",
        ":load",
        "imgfree",
        f"kernel {server}{facts.image.kernel.url_path} {command_line(lab, facts, machine, nonce)} || goto again",
        f"initrd --name initrd.img {server}{facts.image.initramfs.url_path} || goto again",
        "boot ||",
        ":again",
        "inc tries",
        f"echo nodisk: kernel or initramfs did not come whole (try ${{tries}}); again in {_RETRY_SECONDS} seconds",
        f"sleep {_RETRY_SECONDS}",
        "iseq ${tries} 5 || goto load",
        "# A fresh script: by now there may be another image, and the nonce may be too old.",
        f"chain --replace --autofree {server}/boot/{machine.mac.hyphened}.ipxe{lab_again} || reboot",
    )


def disk_script(lab: Lab, machine: Machine) -> str:
    """A known machine's script outside of lessons: its own disk, as in the menu of one that is not known."""
    return script(f"echo nodisk: no lesson now in {lab.name}: {machine.name} boots its own disk", *DISK, "exit")


def unknown_script(lab: Lab, mac: Mac) -> str:
    """The menu of a machine that lab.yaml doesn't know; the same for all of them but for the MAC it shows.

    Before the menu the machine tells the server what it is: nobody has to choose anything for ``nodisk machines``.
    """
    server = network.server_url(lab)
    here = f"{server}/boot/{mac.hyphened}.ipxe"
    # Not every build of iPXE knows memsize; what it doesn't know is empty.
    rest = "platform=${platform}&memsize=${memsize}&chip=${netX/chip:uristring}&busid=${netX/busid}"
    tell = f"imgfetch --name told {here}?{_WHO}&{rest}"
    return script(
        f"{tell} || echo nodisk: the server could not be told what this machine is",
        "imgfree told ||",
        ":menu",
        f"menu nodisk: {lab.name} does not know this machine ({mac})",
        "item disk  Boot from the disk of this machine",
        "item who   Tell the server who I am, and show how to add me",
        "item again Ask again",
        "item shell iPXE shell (password)",
        "choose --default disk --timeout 30000 what || goto disk",
        "goto ${what}",
        ":disk",
        "# A switch speaks every 30 s, the time of this menu: what was not heard before may be known now.",
        f"isset ${{netX.lldp/2.0.0.0:hexraw}} && {tell.replace('imgfetch', 'imgfetch --timeout 3000')} ||",
        "imgfree told ||",
        *DISK,
        "exit",
        ":who",
        f"{tell} && echo The server has noted it. || echo The server could not be told.",
        "imgfree told ||",
        "echo",
        "echo On the server, run:",
        f"echo   nodisk machines adopt {mac}",
        "echo Then ask again, or switch this machine off and on.",
        "echo ${manufacturer} ${product}, serial ${serial}, ${memsize} MiB",
        "prompt Press a key for the menu",
        "goto menu",
        ":again",
        f"chain --replace --autofree {here} || goto menu",
        ":shell",
        *by_password(lab, mac, menu.SHELL),
    )


def by_password(lab: Lab, mac: Mac, entry: str) -> tuple[str, ...]:
    """The end of a script with a label ``menu``: ask for the menu's password, and run what the server gives for it.

    iPXE's ``login`` shows stars. The password goes out in an ``Authorization`` header (RFC 7617), which is in no log of
    the server; iPXE shows stars in place of one in a URL, too. Debian's iPXE has no form to post (``param``).
    """
    where = f"{lab.network.server}/boot/{mac.hyphened}.ipxe?entry={entry}"
    return (
        "login || goto menu",
        f"chain --replace --autofree http://nodisk:${{password:uristring}}@{where} ||",
        FORGET,
        "echo nodisk: refused: a wrong password, too many tries (wait a minute), or none is set yet",
        "echo On the server: nodisk menu password",
        PAUSE,
        "goto menu",
    )


def command_line(lab: Lab, facts: Facts, machine: Machine, nonce: str | None) -> str:
    """The kernel's command line, one line; raises NodiskError if it is longer than the kernel reads.

    The address is static: lab.yaml knows it, a DHCP round takes seconds, and in a room with its own DHCP server
    (``dhcp: proxy`` or ``none``) the server could hand out another address than the one that the events, the
    certificates and the other machines' routes go by.
    """
    server, image = network.server_url(lab), facts.image
    gateway = lab.network.gateway or ""
    words = [
        "initrd=initrd.img",
        # The screen and the serial port; the last one is /dev/console.
        "console=tty0",
        "console=ttyS0,115200",
        "loglevel=5",
        "systemd.show_status=auto",
        # A machine that can't go on starts over: a damaged initramfs ends here.
        "panic=15",
        "net.ifnames=0",
        # Security modules that need a policy have none here (and systemd looks for SELinux's).
        "lsm=landlock,yama",
        f"ip={machine.address}::{gateway}:{lab.network.subnet.netmask}:{machine.name}::none",
        f"nodisk.server={server}",
        f"nodisk.mac={machine.mac.hyphened}",
        f"nodisk.rootfs={server}{image.rootfs.url_path}",
        f"nodisk.sha256={image.rootfs.sha256}",
        f"nodisk.size={image.rootfs.size}",
        *_peers(lab, image),
        f"nodisk.overlay={overlay_mib(lab, machine)}m",
        "ignition.firstboot=1",
        "ignition.platform.id=metal",
        f"ignition.config.url={server}/ignition/{machine.mac.hyphened}",
        *([f"nodisk.nonce={nonce}"] if nonce else []),
        *(EMULATED if facts.emulated else ()),
    ]
    line = " ".join(words)
    if len(line) > COMMAND_LINE_LIMIT:
        raise NodiskError(
            f"{machine.name}: the kernel's command line has {len(line)} characters, it reads {COMMAND_LINE_LIMIT}",
            hint="shorten the names of the lab, the machine or the image",
        )
    return line


def _peers(lab: Lab, image: ImageFacts) -> list[str]:
    """The manifest's hash, and at which port and rate (bytes a second) a machine gives on what it has."""
    if lab.peers is None or image.chunks is None:
        return []
    return [f"nodisk.chunks={image.chunks.sha256}", f"nodisk.peers={ports.PEERS}:{lab.peers.rate.bytes}"]


def script(*lines: str) -> str:
    """An iPXE script of these lines."""
    return "\n".join(("#!ipxe", *lines, ""))
