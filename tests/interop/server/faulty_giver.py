"""ADDRESS PORT FAULT FILE: a machine that has a layer, and alters it, hangs, breaks off, or dies when asked for it.

A program of its own, with nothing to import but Python's: it has to run at once.
"""

from __future__ import annotations

import http.server
import socketserver
import sys
import time
from pathlib import Path


class Faulty(http.server.BaseHTTPRequestHandler):
    """Answers HEAD as an honest one does, and GET by its fault."""

    protocol_version = "HTTP/1.1"
    fault, layer = "", b""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.layer)))
        self.end_headers()

    def do_GET(self) -> None:
        print("asked", self.path, flush=True)
        self.close_connection = True
        if self.fault == "dies":
            return
        self.do_HEAD()
        half = len(self.layer) // 2
        self.wfile.write(b"X" + self.layer[1:] if self.fault == "lies" else self.layer[:half])
        if self.fault == "hangs":
            time.sleep(600)


class Server(socketserver.ThreadingTCPServer):
    """Without http.server's own look at DNS, which nobody answers here."""

    allow_reuse_address = daemon_threads = True


if __name__ == "__main__":
    Faulty.fault, Faulty.layer = sys.argv[3], Path(sys.argv[4]).read_bytes()
    Server((sys.argv[1], int(sys.argv[2])), Faulty).serve_forever()
