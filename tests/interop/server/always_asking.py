"""A client that never stops asking, by a new connection each time; at its standard input's end it tells what it got.

python -m tests.interop.server.always_asking URL [CA]

As JSON: ``asked``, the ``failed`` times with why, and ``longest``, the most seconds between two good answers.
"""

from __future__ import annotations

import http.client
import json
import select
import ssl
import sys
import time
import urllib.request

EVERY = 0.02
"""Seconds between two questions."""


def main() -> None:
    """Ask until nobody listens."""
    url, trust = sys.argv[1], ssl.create_default_context(cafile=sys.argv[2]) if sys.argv[2:] else None
    asked, longest, failed, last = 0, 0.0, list[str](), time.monotonic()
    print("asking", flush=True)
    while not select.select([sys.stdin], [], [], EVERY)[0]:
        asked += 1
        try:
            with urllib.request.urlopen(url, timeout=60, context=trust) as answer:  # noqa: S310 - of this test's own server
                answer.read()
        except (OSError, http.client.HTTPException) as error:
            failed.append(f"{time.monotonic() - last:.3f} s after a good answer: {error}")
            continue
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    print(json.dumps({"asked": asked, "failed": failed, "longest": longest}))


if __name__ == "__main__":
    main()
