"""A command in a pod, by a WebSocket to the API server: bytes in, bytes out, and how it ended.

Both directions have back-pressure: nothing is read from the connection while nobody asks for it, and ``write`` waits
until the other side takes what was written.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from nodisk.context import LabContext
from nodisk.kube import channels, kubeconfig
from nodisk.kube.channels import Channel, Outcome
from nodisk.kube.errors import Unreachable, from_status

LARGEST = 1 << 20
"""Bytes of a message. Kubelets send 32 KiB at most."""
WITHIN = 15.0
"""Seconds for the connection and the API server's answer."""
SILENCE = 60.0
"""Seconds after which a connection that doesn't answer is given up: its machine lost power."""


@dataclass(slots=True)
class Exec:
    """A command that runs."""

    connection: ClientConnection

    async def read(self) -> bytes | Outcome:
        """What the command says next, or how it ended. A connection that breaks is an end without a status."""
        while True:
            try:
                channel, data = channels.parse(await self.connection.recv())
            except ConnectionClosed:
                return Outcome(None, "the connection broke")
            except ValueError as error:
                return Outcome(None, str(error))
            if channel is Channel.ERROR:
                return channels.outcome(data)
            if channel in (Channel.STDOUT, Channel.STDERR) and data:
                return data

    async def write(self, data: bytes) -> None:
        """Give it to the command's standard input; nothing happens once the command has ended."""
        with contextlib.suppress(ConnectionClosed):
            await self.connection.send(channels.frame(Channel.STDIN, data))

    async def resize(self, columns: int, rows: int) -> None:
        """Tell the command's terminal its size; raises ValueError for one that none has."""
        message = channels.size(columns, rows)
        with contextlib.suppress(ConnectionClosed):
            await self.connection.send(message)

    async def finish(self) -> tuple[Outcome, bytes]:
        """Wait for the end: (how it ended, the last 4 KiB that it said)."""
        said = b""
        while isinstance(found := await self.read(), bytes):
            said = (said + found)[-4096:]
        return found, said


@contextlib.asynccontextmanager
async def opened(
    context: LabContext,
    token: str,
    namespace: str,
    pod: str,
    command: Sequence[str],
    *,
    tty: bool,
    container: str | None = None,
) -> AsyncIterator[Exec]:
    """Run a command in a pod, with the rights of whoever has ``token``.

    ``container``: which of the pod's; None: its only one. ``tty``: it gets a terminal; without one, standard error is
    among what is read. Raises an ApiError.
    """
    endpoint = kubeconfig.load(kubeconfig.of_admin(context.state))
    asked = [*(("command", word) for word in command), ("stdin", "true"), ("stdout", "true")]
    asked.append(("tty", "true") if tty else ("stderr", "true"))
    asked += [("container", container)] if container is not None else []
    path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/exec"
    what = f"GET {path}"
    where = urlsplit(endpoint.server)
    url = f"wss://{where.netloc}{path}?{urlencode(asked)}"
    how = {
        "ssl": endpoint.ssl_context(identity=False),
        "subprotocols": [Subprotocol(channels.PROTOCOL)],
        "additional_headers": {"Authorization": f"Bearer {token}"},
        "user_agent_header": "nodisk",
        "compression": None,
        "max_size": LARGEST,
        "max_queue": 2,
        "open_timeout": WITHIN,
        "ping_timeout": SILENCE,
        "close_timeout": 2,
    }
    try:
        if context.netns is None:
            connection = await connect(url, proxy=None, **how)  # type: ignore[arg-type]
        else:
            connection = await unix_connect(str(context.state.run / "api.sock"), url, **how)
    except InvalidStatus as error:
        raise from_status(error.response.status_code, bytes(error.response.body or b""), what, None) from error
    except (TimeoutError, OSError, InvalidHandshake) as error:
        raise Unreachable(f"{what}: no answer from the API at {endpoint.server}: {error}") from error
    try:
        yield Exec(connection)
    finally:
        await connection.close()
