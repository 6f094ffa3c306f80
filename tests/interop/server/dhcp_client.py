"""A DHCP client in a few lines (RFC 2131, 2132, 4578), for asking as firmware does. Prints the last answer as JSON.

Its one argument is JSON: mac; vendor (option 60), arch (93), user_class (77), ipxe (175: true, or a list of what it can
do, by its numbers); offer_only; port and address to ask a boot server directly, with the item that was chosen from its
menu (option 43, PXE 2.1 section 2.2.3); of, to hear one of two servers alone (by option 54); tries, a second each.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import time

MAGIC = b"\x63\x82\x53\x63"
TRIES = 60
"""Seconds for an answer on a host that has much else to do: it mostly comes at once."""
TYPES = {2: "offer", 5: "ack", 6: "nak"}


def option(code: int, value: bytes) -> bytes:
    return bytes([code, len(value)]) + value


def request(how: dict[str, object], kind: int, number: int, extra: bytes = b"") -> bytes:
    mac = bytes.fromhex(str(how["mac"]).replace(":", ""))
    address = socket.inet_aton(str(how.get("address", "0.0.0.0")))
    head = struct.pack(
        "!BBBBIHH4s4s4s4s16s64s128s", 1, 1, 6, 0, number, 0, 0x8000, address, b"", b"", b"", mac, b"", b""
    )
    options = option(53, bytes([kind])) + option(55, bytes([1, 3, 6, 12, 15, 42, 43, 60, 66, 67]))
    if vendor := how.get("vendor"):
        options += option(60, str(vendor).encode()) + option(97, b"\0" + bytes(16)) + option(94, b"\1\3\x10")
    if "arch" in how:
        options += option(93, struct.pack("!H", how["arch"]))
    if user_class := how.get("user_class"):
        options += option(77, str(user_class).encode())
    if "item" in how:
        options += option(43, option(71, struct.pack("!HH", how["item"], 0)) + b"\xff")
    if features := how.get("ipxe"):
        can = b"".join(option(number, b"\1") for number in (features if isinstance(features, list) else ()))
        options += option(175, option(235, b"\1\0\0") + can)
    return head + MAGIC + options + extra + b"\xff"


def parse(packet: bytes) -> dict[str, object]:
    found: dict[int, bytes] = {}
    at = 240
    while at < len(packet) and packet[at] != 255:
        if packet[at] == 0:
            at += 1
            continue
        length = packet[at + 1]
        found[packet[at]] = packet[at + 2 : at + 2 + length]
        at += 2 + length
    menu = found.get(43, b"")
    file = packet[108:236].split(b"\0")[0] or found.get(67, b"").rstrip(b"\0")

    def address(code: int) -> str | None:
        return socket.inet_ntoa(found[code][:4]) if found.get(code) else None

    return {
        "type": TYPES.get(found[53][0], "?"),
        "address": socket.inet_ntoa(packet[16:20]),
        "next": socket.inet_ntoa(packet[20:24]),
        "file": file.decode(),
        "vendor": found[60].decode() if 60 in found else None,
        "netmask": address(1),
        "router": address(3),
        "dns": address(6),
        "server": address(54),
        "name": found[12].decode() if 12 in found else None,
        "domain": found[15].decode() if 15 in found else None,
        "menu": menu.hex(),
    }


def exchange(
    sock: socket.socket, packet: bytes, to: tuple[str, int], wanted: tuple[int, ...], *, tries: int, of: object = None
) -> dict[str, object]:
    for _ in range(tries):
        sock.sendto(packet, to)
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            sock.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                answer = sock.recv(4096)
            except TimeoutError:
                break
            if answer[4:8] == packet[4:8] and answer[236:240] == MAGIC:
                found = parse(answer)
                if found["type"] in {TYPES[kind] for kind in wanted} and of in (None, found["server"]):
                    return found
    return {}


def main() -> None:
    how = json.loads(sys.argv[1])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
        sock.bind(("", 68))
        number = int.from_bytes(os.urandom(4), "big")
        more = {"tries": int(how.get("tries", TRIES)), "of": how.get("of")}
        if how.get("port"):
            print(json.dumps(exchange(sock, request(how, 3, number), ("10.99.0.1", how["port"]), (5, 6), **more)))
            return
        answer = exchange(sock, request(how, 1, number), ("255.255.255.255", 67), (2,), **more)
        if answer and not how.get("offer_only"):
            extra = option(50, socket.inet_aton(str(answer["address"])))
            extra += option(54, socket.inet_aton(str(answer["server"])))
            answer = exchange(sock, request(how, 3, number, extra), ("255.255.255.255", 67), (5, 6), **more)
        print(json.dumps(answer))


if __name__ == "__main__":
    main()
