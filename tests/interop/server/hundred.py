"""A class's browsers, all at one address: what each of their requests is answered, as JSON.

python -m tests.interop.server.hundred BASE CA < sessions' tokens
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections import Counter
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

GREETING = asyncio.Semaphore(8)
"""Held for a connection's TLS: this process is slow at it, and nginx waits ten seconds for a request."""
UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
UPGRADE += "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"


async def ask(base: str, stack: AsyncExitStack, trust: ssl.SSLContext, *, path: str, token: str, more: str) -> int:
    """The status of an answer, whose connection stays open until the stack ends."""
    place = urlsplit(base)
    async with GREETING:
        reader, writer = await asyncio.open_connection(place.hostname, place.port, ssl=trust)
    stack.callback(writer.close)
    cookie = f"Cookie: __Host-nodisk-door-test={token}\r\n" if token else ""
    head = f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\nOrigin: {base}\r\n{cookie}{more}\r\n"
    writer.write(head.encode())
    return int((await asyncio.wait_for(reader.readline(), 120)).split()[1])


async def main(base: str, authority: str, tokens: list[str]) -> None:
    """All of them, while all that was opened before stays open."""
    trust, came = ssl.create_default_context(cafile=authority), {}
    async with AsyncExitStack() as stack:

        async def all_of(path: str, tokens: list[str], more: str = "") -> Counter[str]:
            found = await asyncio.gather(*(ask(base, stack, trust, path=path, token=one, more=more) for one in tokens))
            return Counter(map(str, found))

        came["live"] = await all_of("/door/hundred/live", tokens)
        came["strangers"] = await all_of("/door/hundred/live", [""] * 300)
        came["sockets"] = await all_of("/door/hundred/terminal/socket", tokens, UPGRADE)
        came["pages"] = await all_of("/door/hundred", tokens)
        for _ in range(4):
            last = await ask(base, stack, trust, path="/door/hundred/live", token=tokens[0], more="")
    print(json.dumps({**came, "a fifth live page of one": last}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], json.load(sys.stdin)))
