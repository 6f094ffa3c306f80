"""A browser's terminal that is open while something happens: it says who it is after that.

python -m tests.interop.server.kept_socket URL ORIGIN CA COOKIE FORM_TOKEN

Prints a line when it is open; at a line on its standard input it greets the console, and prints what it then hears.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin


async def main(url: str, origin: str, authority: str, cookie: str, token: str) -> None:
    """Open it, wait, greet, and listen until the other end closes it."""
    trust = ssl.create_default_context(cafile=authority)
    headers = {"Cookie": cookie}
    async with connect(url, ssl=trust, origin=Origin(origin), additional_headers=headers) as socket:
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        try:
            await socket.send(json.dumps({"token": token, "columns": 80, "rows": 24}))
            async for message in socket:
                print(message, flush=True)
        except ConnectionClosed as error:
            print(error, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
