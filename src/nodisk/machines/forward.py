"""Loopback ports of the host for a lab in a network namespace: ``python -m nodisk.machines.forward RUN_DIR``.

Unix sockets cross network namespaces and addresses don't: nginx in the namespace listens on ``api.sock``,
``http.sock`` and ``console-tls.sock`` in the lab's run directory, and this small process connects ports of 127.0.0.1
to them. It writes ``forward.json`` (``{"api": PORT, "http": PORT, …}``) when it listens, and takes the same ports again
where they are free, so that a kubeconfig that was handed out goes on working.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import signal
import socket
import sys
from pathlib import Path

from nodisk import files

SOCKETS = {"api": "api.sock", "http": "http.sock", "console": "console-tls.sock"}
RECORD = "forward.json"
CHUNK = 256 * 1024


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction until its end, then say so to the other side."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


async def _connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str) -> None:
    """Join a connection with a new one to the unix socket ``target``."""
    try:
        inner_reader, inner_writer = await asyncio.open_unix_connection(target)
    except OSError:
        writer.close()  # the server is not up (yet, or any more): the client sees a closed connection
        return
    try:
        await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
    finally:
        inner_writer.close()
        writer.close()


def _listen(wanted: int | None) -> socket.socket:
    """A listening socket on 127.0.0.1: at the wanted port if it is free, else at any."""
    for port in (wanted, 0) if wanted else (0,):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            listener.close()
            continue
        return listener
    raise OSError("no port of 127.0.0.1 is free")


def earlier_ports(record: Path) -> dict[str, int]:
    """The ports of the last run; empty if there was none."""
    try:
        loaded = json.loads(record.read_text())
    except (OSError, ValueError):
        return {}
    return {name: port for name, port in loaded.items() if name in SOCKETS and isinstance(port, int)}


def ports(run_dir: Path) -> dict[str, int]:
    """The ports of the forwarder that listens for this run directory; empty if none does."""
    return earlier_ports(run_dir / RECORD)


async def serve(run_dir: Path, record: Path) -> None:
    """Forward until SIGTERM or SIGINT."""
    os.chdir(run_dir)  # a unix socket's path may have 107 bytes (unix(7)); its name alone always fits
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    wanted, taken = earlier_ports(record), {}
    servers = []
    for name, target in SOCKETS.items():
        listener = _listen(wanted.get(name))
        servers.append(await asyncio.start_server(functools.partial(_connect, target=target), sock=listener))
        taken[name] = listener.getsockname()[1]
    files.write(record, json.dumps(taken) + "\n")
    files.write(run_dir / RECORD, json.dumps(taken) + "\n")
    await stop.wait()
    for server in servers:
        server.close()  # connections that are open end with this process


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2])))
