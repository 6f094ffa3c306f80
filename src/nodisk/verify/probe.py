"""A small program that looks at the lab's network from the server's side of the wire.

It runs in the lab's network namespace, where the caller isn't: probes come in as a JSON list on stdin, answers go out
as a JSON list on stdout, in the same order. It imports the standard library alone.

    {"kind": "http", "host": "10.77.0.11", "port": 30080, "path": "/", "timeout": 5}
    {"kind": "https", …, "ca": "-----BEGIN …", "headers": {…}}             trusts that CA alone
    {"kind": "tls", "host": "10.77.0.11", "port": 10250}                   the certificate, not verified, as PEM
    {"kind": "until", "host": …, "port": …, "for": 30}                     connects until it succeeds; CLOCK_MONOTONIC
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def probe(wish: dict[str, Any]) -> dict[str, Any]:
    """Do one probe: ``{"ok": true, …}`` or ``{"ok": false, "error": …}``; ``seconds`` says how long it took."""
    began = time.monotonic()
    try:
        found = _KINDS[wish["kind"]](wish)
    except (OSError, http.client.HTTPException) as error:
        words = getattr(error, "strerror", None) or str(error) or type(error).__name__
        found = {"ok": False, "error": words}
    return found | {"seconds": time.monotonic() - began}


def _http(wish: dict[str, Any]) -> dict[str, Any]:
    return _ask(http.client.HTTPConnection(wish["host"], wish["port"], timeout=wish.get("timeout", 5)), wish)


def _https(wish: dict[str, Any]) -> dict[str, Any]:
    context = ssl.create_default_context(cadata=wish["ca"])
    timeout = wish.get("timeout", 5)
    return _ask(http.client.HTTPSConnection(wish["host"], wish["port"], timeout=timeout, context=context), wish)


def _ask(connection: http.client.HTTPConnection, wish: dict[str, Any]) -> dict[str, Any]:
    try:
        connection.request("GET", wish.get("path", "/"), headers=wish.get("headers", {}))
        answer = connection.getresponse()
        body = answer.read(64 * 1024).decode(errors="replace")
    finally:
        connection.close()
    return {"ok": answer.status == 200, "status": answer.status, "body": body, "error": f"HTTP status {answer.status}"}


def _tls(wish: dict[str, Any]) -> dict[str, Any]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the caller judges the certificate
    address = (wish["host"], wish["port"])
    with socket.create_connection(address, wish.get("timeout", 5)) as plain, context.wrap_socket(plain) as wrapped:
        der = wrapped.getpeercert(binary_form=True) or b""
    return {"ok": True, "pem": ssl.DER_cert_to_PEM_cert(der)}


def _until(wish: dict[str, Any]) -> dict[str, Any]:
    end = time.monotonic() + wish.get("for", 30)
    while True:
        try:
            socket.create_connection((wish["host"], wish["port"]), 0.5).close()
        except OSError as error:
            if time.monotonic() > end:
                return {"ok": False, "error": error.strerror or str(error)}
            time.sleep(0.002)
        else:
            return {"ok": True, "at": time.monotonic()}


_KINDS = {"http": _http, "https": _https, "tls": _tls, "until": _until}


def main() -> None:
    """Probe all that stdin asks for, at once."""
    wishes = json.load(sys.stdin)
    with ThreadPoolExecutor(max_workers=max(1, min(64, len(wishes)))) as pool:
        json.dump(list(pool.map(probe, wishes)), sys.stdout)


if __name__ == "__main__":
    main()
