"""The parts of DHCP that a preflight needs (RFC 2131, 2132): a DISCOVER out, OFFERs in. Bytes and values, no I/O."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from nodisk.values import Mac

CLIENT_PORT, SERVER_PORT = 68, 67
_COOKIE = b"\x63\x82\x53\x63"
_FIXED = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s")
_UDP, _BROADCAST_FLAG = 17, 0x8000
_DISCOVER, _OFFER, _REQUEST, _ACK = 1, 2, 3, 5
_PAD, _END = 0, 255
_WANTED, _MESSAGE_TYPE, _SERVER_ID, _PARAMETERS, _VENDOR_CLASS, _TFTP, _BOOTFILE = 50, 53, 54, 55, 60, 66, 67
_VENDOR_OPTIONS, _ARCHITECTURE, _IPXE = 43, 93, 175
FIRMWARE = {
    0: "BIOS",
    6: "UEFI, 32-bit x86",
    7: "UEFI",
    9: "UEFI",
    10: "UEFI, 32-bit ARM",
    11: "UEFI, 64-bit ARM",
    15: "UEFI by HTTP, 32-bit x86",
    16: "UEFI by HTTP",
    18: "UEFI by HTTP, 32-bit ARM",
    19: "UEFI by HTTP, 64-bit ARM",
}
"""Option 93 of the PCs that a room may have (RFC 4578, and IANA's list of processor architectures)."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a DHCP server answered."""

    server: IPv4Address
    """Its identifier (option 54), otherwise the source address of its answer."""
    address: IPv4Address
    """The address it offers; 0.0.0.0: none (a proxyDHCP server)."""
    vendor_class: str = ""
    """Option 60; ``PXEClient`` makes UEFI firmware ask for more on port 4011."""
    boot_file: str = ""
    """The file for PXE firmware to load (option 67, or the field)."""
    next_server: str = ""
    """From where (option 66, or the field)."""
    relay: str = ""
    """The relay that brought the answer (the field giaddr); '' for a server on this segment."""
    menu: bool = False
    """Whether option 43 comes with it: with option 60, PXE's boot menu or what a Windows deployment server says."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client said to whatever DHCP server there is."""

    mac: Mac
    vendor_class: str = ""
    """Option 60; ``PXEClient…`` or ``HTTPClient…`` of firmware that boots from the network."""
    architecture: int | None = None
    """Option 93; None: it did not say."""
    ipxe: bool = False
    relay: str = ""
    """The relay that passes it on (giaddr); '' for a client on this segment."""

    @property
    def boots(self) -> bool:
        """Whether it is a machine that boots from the network."""
        return self.ipxe or self.architecture is not None or self.vendor_class.startswith(("PXEClient", "HTTPClient"))

    @property
    def firmware(self) -> str:
        """Which firmware asks, for people."""
        if self.architecture is None:
            return "iPXE" if self.ipxe else "no architecture named"
        return FIRMWARE.get(self.architecture, f"architecture {self.architecture}")


def discover(mac: Mac, transaction: int, wanted: IPv4Address | None = None) -> bytes:
    """A DHCPDISCOVER as a whole IPv4 packet from 0.0.0.0 to the broadcast address, as a PXE client on a PC sends it.

    ``wanted``: an address that it asks for (option 50). A server that has it free in a pool offers that very one. Who
    asks for one asks as UEFI, all others as BIOS: so it shows too what a server tells only the one or the other.
    """
    return _ip(_udp(_question(_DISCOVER, mac, transaction, wanted=wanted)))


def boot_request(mac: Mac, transaction: int, client: IPv4Address) -> bytes:
    """What a PXE client that has the address ``client`` asks a boot server on port 4011 (PXE 2.1 section 2.2.3)."""
    return _question(_REQUEST, mac, transaction, client=client)


def _question(
    kind: int,
    mac: Mac,
    transaction: int,
    *,
    wanted: IPv4Address | None = None,
    client: IPv4Address = IPv4Address(0),  # noqa: B008 - a constant
) -> bytes:
    architecture = 0 if wanted is None else 7
    hardware = mac.value.to_bytes(6, "big")
    options = bytes([_MESSAGE_TYPE, 1, kind])
    # What PXE firmware says of itself (RFC 4578): a server that gives boot files gives them to nobody else.
    options += _option(_VENDOR_CLASS, f"PXEClient:Arch:{architecture:05}:UNDI:003016".encode())
    options += _option(_ARCHITECTURE, bytes([0, architecture])) + _option(94, b"\1\2\1")
    options += _option(97, bytes(17))
    options += _option(_WANTED, wanted.packed) if wanted else b""
    options += _option(_PARAMETERS, bytes([1, 3, 6, _VENDOR_OPTIONS, _SERVER_ID, _VENDOR_CLASS, _TFTP, _BOOTFILE]))
    none = bytes(4)
    fixed = _FIXED.pack(
        1, 1, 6, 0, transaction, 0, _BROADCAST_FLAG, client.packed, none, none, none, hardware, b"", b""
    )  # fmt: skip
    return (fixed + _COOKIE + options + bytes([_END])).ljust(300, b"\0")  # BOOTP's least (RFC 1542 section 2.1)


def _option(code: int, value: bytes) -> bytes:
    return bytes([code, len(value)]) + value


def _udp(payload: bytes) -> bytes:
    # A checksum of 0 means none (RFC 768).
    return struct.pack("!HHHH", CLIENT_PORT, SERVER_PORT, 8 + len(payload), 0) + payload


def _ip(payload: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0x10, 20 + len(payload), 0, 0, 64, _UDP, 0, bytes(4), b"\xff" * 4)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes; 0 over data that holds its own."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def offer(packet: bytes, mac: Mac, transaction: int) -> Offer | None:
    """The offer to ``mac`` in that transaction in an IPv4 packet; None for any other packet, however malformed."""
    found = _message(packet, _ANSWER)
    if found is None or (found.mac, found.transaction) != (mac, transaction):
        return None
    return _offer(found, packet[12:16])


def boot_answer(message: bytes, server: IPv4Address, mac: Mac, transaction: int) -> Offer | None:
    """What ``server`` answered to a ``boot_request``; None for anything else, however malformed."""
    found = _read(message, _ANSWER)
    if found is None or (found.mac, found.transaction) != (mac, transaction):
        return None
    return _offer(found, server.packed)


def heard(packet: bytes) -> tuple[Mac, Offer] | None:
    """An offer to anybody in an IPv4 packet, and to whom; None for any other packet, however malformed."""
    found = _message(packet, _ANSWER)
    answer = None if found is None else _offer(found, packet[12:16])
    return None if found is None or answer is None else (found.mac, answer)


def request(packet: bytes) -> Request | None:
    """What a client asks in an IPv4 packet; None for any other packet, however malformed."""
    found = _message(packet, _QUESTION)
    if found is None:
        return None
    number = found.options.get(_ARCHITECTURE, b"")
    return Request(
        mac=found.mac,
        vendor_class=_text(found.options.get(_VENDOR_CLASS, b"")),
        architecture=int.from_bytes(number[:2], "big") if len(number) >= 2 else None,
        ipxe=_IPXE in found.options,
        relay="" if found.relay == IPv4Address(0) else str(found.relay),
    )


@dataclass(frozen=True, slots=True)
class _Message:
    """A DHCP message of a client or a server."""

    mac: Mac
    transaction: int
    yours: IPv4Address
    server: IPv4Address
    relay: IPv4Address
    name: bytes
    file: bytes
    options: dict[int, bytes]


_QUESTION, _ANSWER = 1, 2


def _message(packet: bytes, op: int) -> _Message | None:
    message = _payload(packet, to=SERVER_PORT if op == _QUESTION else CLIENT_PORT)
    return None if message is None else _read(message, op)


def _read(message: bytes, op: int) -> _Message | None:
    if len(message) < _FIXED.size + 4:
        return None
    is_op, _, length, _, number, _, _, _, yours, server, relay, hardware, name, file = _FIXED.unpack_from(message)
    if is_op != op or length != 6 or message[_FIXED.size : _FIXED.size + 4] != _COOKIE:
        return None
    try:
        mac = Mac.parse(hardware[:6].hex())
    except ValueError:
        return None
    found = options(message[_FIXED.size + 4 :])
    return _Message(mac, number, IPv4Address(yours), IPv4Address(server), IPv4Address(relay), name, file, found)


def _offer(message: _Message, sender: bytes) -> Offer | None:
    found, none = message.options, IPv4Address(0)
    if found.get(_MESSAGE_TYPE) not in (bytes([_OFFER]), bytes([_ACK])):
        return None
    identifier = found.get(_SERVER_ID, b"")
    return Offer(
        server=IPv4Address(identifier if len(identifier) == 4 else sender),
        address=message.yours,
        vendor_class=_text(found.get(_VENDOR_CLASS, b"")),
        boot_file=_text(found.get(_BOOTFILE, b"") or message.file),
        next_server=_text(found.get(_TFTP, b"") or message.name)
        or ("" if message.server == none else str(message.server)),
        relay="" if message.relay == none else str(message.relay),
        menu=bool(found.get(_VENDOR_OPTIONS)),
    )


def _payload(packet: bytes, *, to: int) -> bytes | None:
    """The UDP payload of an IPv4 packet from one of DHCP's ports to another; None for any other packet."""
    if len(packet) < 20 or packet[0] >> 4 != 4 or packet[9] != _UDP:
        return None
    start = (packet[0] & 15) * 4
    if start < 20 or len(packet) < start + 8:
        return None
    source, target, length, _ = struct.unpack_from("!HHHH", packet, start)
    # A relay asks from the servers' port.
    if target != to or source not in ({SERVER_PORT, CLIENT_PORT} if to == SERVER_PORT else {SERVER_PORT}) or length < 8:
        return None
    return packet[start + 8 : start + length]


def options(data: bytes) -> dict[int, bytes]:
    """The options of a message by number, with split options joined (RFC 3396); truncated options are dropped."""
    found: dict[int, bytes] = {}
    position = 0
    while position < len(data) and data[position] != _END:
        if data[position] == _PAD:
            position += 1
            continue
        value = data[position + 2 : position + 2 + data[position + 1]] if position + 1 < len(data) else None
        if value is None or len(value) < data[position + 1]:
            break
        found[data[position]] = found.get(data[position], b"") + value
        position += 2 + len(value)
    return found


def _text(value: bytes) -> str:
    """The bytes up to the first zero as printable text, which may be shown on a terminal."""
    text = value.split(b"\0", 1)[0].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:128]
