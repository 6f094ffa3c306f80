"""Ten thousand connections to the console that say nothing, and what others are answered meanwhile, as JSON.

python -m tests.interop.server.many_connections COUNT HOST PORT CA
"""

from __future__ import annotations

import contextlib
import json
import resource
import select
import socket
import ssl
import sys
import time
import urllib.error
import urllib.request

BATCH = 500
"""As many are on their way at the same time: a listener's queue holds 511."""
SPARE = 200
"""Handles besides the connections'."""
ASKED = 10
"""Times that somebody else asks."""


def open_all(stack: contextlib.ExitStack, count: int, place: tuple[str, int]) -> list[socket.socket]:
    """So many connections, from an address for each hundred."""
    made: list[socket.socket] = []
    while len(made) < count:
        waiting = {}
        poll = select.poll()
        for number in range(len(made), min(len(made) + BATCH, count)):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.bind((f"127.0.{1 + number // 25000}.{1 + number // 100 % 250}", 0))
            with contextlib.suppress(BlockingIOError):
                one.connect(place)
            waiting[one.fileno()] = one
            poll.register(one, select.POLLOUT)
        end = time.monotonic() + 60
        while waiting:
            ready = poll.poll(1000)
            for handle, _ in ready:
                poll.unregister(handle)
                made.append(waiting.pop(handle))
            if time.monotonic() > end:
                sys.exit(f"{len(waiting)} connections of {len(made)} were not taken in a minute")
    return made


def ask(url: str, trust: ssl.SSLContext | None) -> tuple[int, float]:
    """The status of an answer, and the seconds to it."""
    began = time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=60, context=trust) as answer:  # noqa: S310 - of this test's own server
            status: int = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
    return status, time.monotonic() - began


def main(count: int, host: str, port: int, authority: str) -> None:
    """Open, ask, tell."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, count + SPARE), most))
    trust = ssl.create_default_context(cafile=authority)
    with contextlib.ExitStack() as stack:
        made = open_all(stack, count, (host, port))
        errors = sum(bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) for one in made)
        door = [ask(f"https://{host}:{port}/door", trust) for _ in range(ASKED)]
        room = [ask("http://10.99.0.1/", None) for _ in range(ASKED)]
    said = {"open": len(made) - errors, "door": [one for one, _ in door], "machines": [one for one, _ in room]}
    print(json.dumps(said | {"slowest": max(took for _, took in (*door, *room))}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
