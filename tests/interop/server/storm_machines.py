"""A room of machines that are switched on at once, each from its own address, as far as the server sees them.

Its one argument is JSON: server, ca (a file), machines (MAC, address, and its CSRs by profile). Prints as JSON the
seconds that each step took for all of them, and what went wrong.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import ssl
import sys
import time
import uuid
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx2
from tests.interop.server.dhcp_client import MAGIC, option, parse, request

PATIENCE = (1, 2, 4, 8)
"""Seconds after which firmware asks again, and again."""


@dataclass
class Machine:
    mac: str
    address: str
    csrs: dict[str, str]

    @property
    def hyphened(self) -> str:
        return self.mac.replace(":", "-")


def dhcp(machines: list[Machine]) -> list[str]:
    """All ask at once; what didn't get its own address."""
    wanted = {machine.mac: machine.address for machine in machines}
    how = {mac: {"mac": mac, "vendor": "PXEClient:Arch:00000:UNDI:002001", "arch": 0} for mac in wanted}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.bind(("", 68))
        offers = _round(sock, {mac: request(how[mac], 1, _number()) for mac in wanted})
        packets = {}
        for mac, offer in offers.items():
            extra = option(50, socket.inet_aton(str(offer["address"])))
            extra += option(54, socket.inet_aton(str(offer["server"])))
            packets[mac] = request(how[mac], 3, _number(), extra)
        acks = _round(sock, packets)
    return [mac for mac, address in wanted.items() if acks.get(mac, {}).get("address") != address]


def _number() -> int:
    return int.from_bytes(os.urandom(4), "big")


def _round(sock: socket.socket, packets: dict[str, bytes]) -> dict[str, dict[str, object]]:
    """Send each, take the answers; again to those that got none."""
    found: dict[str, dict[str, object]] = {}
    numbers = {packet[4:8]: mac for mac, packet in packets.items()}
    for patience in PATIENCE:
        for mac, packet in packets.items():
            if mac not in found:
                sock.sendto(packet, ("255.255.255.255", 67))
        deadline = time.monotonic() + patience
        while len(found) < len(packets) and (left := deadline - time.monotonic()) > 0:
            sock.settimeout(left)
            try:
                answer = sock.recv(4096)
            except TimeoutError:
                break
            if answer[236:240] == MAGIC and answer[:1] == b"\2" and answer[4:8] in numbers:
                found[numbers[answer[4:8]]] = parse(answer)
        if len(found) == len(packets):
            break
    return found


async def boot(server: str, trusted: ssl.SSLContext, machine: Machine) -> None:
    """From the boot script to the certificates; raises for anything but what an honest machine is to get."""
    transport = httpx2.AsyncHTTPTransport(verify=trusted, local_address=machine.address)
    async with httpx2.AsyncClient(transport=transport, timeout=300, trust_env=False) as http:
        base, boot_id = f"http://{server}", str(uuid.uuid4())

        async def get(url: str) -> bytes:
            answer = await http.get(url)
            return answer.raise_for_status().content

        async def tell(stage: str) -> None:
            form = urlencode({"mac": machine.mac, "stage": stage, "boot_id": boot_id})
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            (await http.post(f"{base}/event", content=form, headers=headers)).raise_for_status()

        await get(f"{base}/boot.ipxe")
        script = (await get(f"{base}/boot/{machine.hyphened}.ipxe")).decode()
        nonce = re.search(r"nodisk\.nonce=(\S+)", script)
        rootfs = re.search(r"nodisk\.rootfs=(\S+)", script)
        if nonce is None or rootfs is None:
            raise ValueError(script)
        for url in re.findall(r"http://\S+/(?:vmlinuz|initramfs)", script):
            await get(url)
        await tell("kernel")
        assert len(await get(rootfs[1])) > 1_000_000
        await tell("rootfs")
        await get(f"{base}/ignition/{machine.hyphened}")
        for stage in ("config", "os"):
            await tell(stage)
        body = "".join(f"profile: {name}\n{pem}" for name, pem in machine.csrs.items())
        headers = {"Nodisk-Nonce": nonce[1], "Nodisk-Mac": machine.hyphened, "Content-Type": "text/plain"}
        answer = await http.post(f"https://{server}:6444/enrol", content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        await tell("enrolled")


async def _all(server: str, ca: str, machines: list[Machine]) -> list[str]:
    trusted = ssl.create_default_context(cafile=ca)
    done = await asyncio.gather(*(boot(server, trusted, machine) for machine in machines), return_exceptions=True)
    return [f"{one.mac}: {error!r}" for one, error in zip(machines, done, strict=True) if error is not None]


def main() -> None:
    how = json.load(sys.stdin)
    machines = [Machine(**one) for one in how["machines"]]
    start = time.monotonic()
    wrong = [f"{mac}: no address" for mac in dhcp(machines)]
    leased = time.monotonic()
    wrong += asyncio.run(_all(how["server"], how["ca"], machines))
    print(json.dumps({"wrong": wrong, "dhcp": leased - start, "boot": time.monotonic() - leased}))


if __name__ == "__main__":
    main()
