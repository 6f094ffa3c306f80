"""A machine that says it has every chunk and gives garbage.

``python -m nodisk.bench.storm_liar ADDRESS PORT MANIFEST``,
for measures only (``nodisk lab bench --storm``): what a room of machines does about it.
"""

from __future__ import annotations

import re
import socketserver
import sys
from pathlib import Path

_RANGE = re.compile(rb"bytes=(\d+)-(\d+)")


def _have(chunks: int) -> str:
    """The bitmap of one that has all of them, as ``Nodisk-Have`` has it."""
    return "".join(f"{(1 << min(8, chunks - at)) - 1:02x}" for at in range(0, chunks, 8))


class Liar(socketserver.StreamRequestHandler):
    """One connection, as long as it is kept."""

    have = ""
    size = 0

    def handle(self) -> None:
        """Answer every request: HEAD with everything, a range with zeros."""
        try:
            while line := self.rfile.readline(2048):
                found = None
                while (header := self.rfile.readline(2048)) not in {b"\r\n", b""}:
                    found = _RANGE.search(header) or found
                head = f"Nodisk-Have: {self.have}\r\n"
                if found is None or line.startswith(b"HEAD"):
                    self.wfile.write(f"HTTP/1.1 200 OK\r\n{head}Content-Length: 0\r\n\r\n".encode())
                    continue
                first, last = int(found[1]), int(found[2])
                head += f"Content-Range: bytes {first}-{last}/{self.size}\r\nContent-Length: {last - first + 1}\r\n"
                self.wfile.write(f"HTTP/1.1 206 Partial Content\r\n{head}\r\n".encode() + bytes(last - first + 1))
        except OSError:
            pass


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def main(address: str, port: str, manifest: str) -> None:
    """Until it is ended."""
    head, *chunks = Path(manifest).read_text(encoding="ascii").splitlines()
    Liar.have, Liar.size = _have(len(chunks)), int(head.split()[3])
    with _Listener((address, int(port)), Liar) as listener:
        listener.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
