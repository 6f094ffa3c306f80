"""A small program that probes the lab's network from the server's side.

It runs in the lab's network namespace, in which the caller isn't: it reads probes as a JSON list on stdin and prints
answers as a JSON list on stdout, in the same order. It imports only the standard library.

    {"kind": "http", "host": "10.77.0.11", "port": 30080, "path": "/", "timeout": 5}
    {"kind": "https", …, "ca": "-----BEGIN …", "headers": {…}}             trusts that CA alone
    {"kind": "tls", "host": "10.77.0.11", "port": 10250}                   the certificate, not verified, as PEM
    {"kind": "until", "host": …, "port": …, "for": 30}                     asks by HTTP until an answer comes; when the
                                                                           answered question began, on CLOCK_MONOTONIC
"""

from __future__ import annotations

import http.client
import json
import os
import selectors
import socket
import ssl
import sys
import time
from typing import Any

from nodisk.parallel import all_or_raise, in_parallel


def probe(wish: dict[str, Any]) -> dict[str, Any]:
    """Run one probe: ``{"ok": true, …}`` or ``{"ok": false, "error": …}``; ``seconds`` is how long it took."""
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


SPACING = 0.005
"""Seconds between two requests of ``until``."""
PATIENCE = 5.0
"""Seconds for which each of them waits for its answer."""
IN_FLIGHT = 256


def _until(wish: dict[str, Any]) -> dict[str, Any]:
    """Send a request every SPACING seconds, without waiting for the answers to earlier ones.

    A connection alone proves nothing: kube-proxy before 1.23 reserves a NodePort with a socket that accepts and never
    answers, and connections to it stay there when the Service's rules are in place.
    """
    end, error = time.monotonic() + wish.get("for", 30), "no answer"
    with selectors.DefaultSelector() as waiting:
        try:
            while (now := time.monotonic()) < end:
                if len(waiting.get_map()) < IN_FLIGHT:
                    link = socket.socket()
                    link.setblocking(False)
                    link.connect_ex((wish["host"], wish["port"]))
                    waiting.register(link, selectors.EVENT_WRITE, (link, now))
                while (left := now + SPACING - time.monotonic()) > 0:
                    for key, ready in waiting.select(left):
                        try:
                            if _answered(waiting, key, ready):
                                return {"ok": True, "at": key.data[1]}
                        except OSError as problem:
                            error = problem.strerror or str(problem)
                            _drop(waiting, key)
                for key in [one for one in waiting.get_map().values() if one.data[1] < now - PATIENCE]:
                    _drop(waiting, key)
        finally:
            for key in list(waiting.get_map().values()):
                _drop(waiting, key)
    return {"ok": False, "error": error}


def _answered(waiting: selectors.BaseSelector, key: selectors.SelectorKey, ready: int) -> bool:
    """Send the request on a new connection, or read the answer from an earlier one; raises OSError if either fails."""
    link: socket.socket = key.data[0]
    if ready & selectors.EVENT_WRITE:
        if problem := link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(problem, os.strerror(problem))
        link.sendall(b"GET / HTTP/1.0\r\n\r\n")
        waiting.modify(link, selectors.EVENT_READ, key.data)
        return False
    if not link.recv(1):
        raise OSError(0, "closed without an answer")
    return True


def _drop(waiting: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    waiting.unregister(key.fileobj)
    key.data[0].close()


_KINDS = {"http": _http, "https": _https, "tls": _tls, "until": _until}


def main() -> None:
    """Run all probes from stdin at once."""
    wishes = json.load(sys.stdin)
    json.dump(all_or_raise(in_parallel(probe, wishes, workers=64)), sys.stdout)


if __name__ == "__main__":
    main()
