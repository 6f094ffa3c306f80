"""The kubelet's end of an exec, and no more of a kubelet: no real one can run here, for it wants a container runtime.

It speaks the kubelet's protocol (``GET /exec/NAMESPACE/POD/CONTAINER``; ``command``, ``input``, ``output``, ``tty``;
upgraded to a WebSocket, ``v4.channel.k8s.io``) over TLS to the real API server, which decides as always who may have
one. Commands run on this host: a key is kept in a folder, a terminal is a shell in a pseudoterminal, and a pod in
``inside`` has a folder of this host. ``run`` does a pod's scheduling and starting by the administrator's API calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.api.apiserver import ControlPlane
from tests.support.shells import begin
from tests.support.waits import until
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from nodisk.kube import channels
from nodisk.kube.channels import Channel, Outcome
from nodisk.kube.client import Client


@dataclass
class Kubelet:
    """A node called w1 that runs what pods exec."""

    plane: ControlPlane
    folder: Path
    port: int = 0
    paths: list[str] = field(default_factory=list)
    """What it was asked for."""
    containers: int = 0
    inside: dict[str, tuple[str, Path]] = field(default_factory=dict)
    """Pod → a folder in it, and which one of this host that is."""
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    @property
    def key(self) -> Path:
        """Where the key ends up that a pod keeps in memory."""
        return self.folder / "config"

    def run(self, client: Client, space: str, *, seconds: float = 60) -> None:
        """Wait for the terminal's pod and let it run."""
        made = functools.partial(client.list, "v1", "Pod", namespace=space)
        pods = until(made, seconds=seconds, every=0.1, why="nobody made the pod")
        name = pods[0]["metadata"]["name"]
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": space},
            "target": {"apiVersion": "v1", "kind": "Node", "name": "w1"},
        }
        client.post_subresource("v1", "Pod", name, "binding", binding, namespace=space)
        self.containers += 1
        status = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [
                {
                    "name": name,
                    "image": "nodisk/terminal:1",
                    "imageID": "",
                    "ready": True,
                    "restartCount": 0,
                    "containerID": f"containerd://{self.containers}",
                    "state": {"running": {}},
                }
            ],
        }
        path = client.path("v1", "Pod", name, namespace=space, subresource="status")
        client.json("PATCH", path, body={"status": status}, content_type="application/merge-patch+json")

    async def _handle(self, connection: ServerConnection) -> None:
        request = connection.request
        assert request is not None
        self.paths.append(request.path)
        asked = parse_qs(urlsplit(request.path).query)
        pod = request.path.split("/")[3]
        if pod in self.inside:
            await self._print(connection, asked["command"], *self.inside[pod])
        elif "tty" in asked:
            await self._terminal(connection)
        else:
            await self._keep(connection, asked["command"])

    async def _keep(self, connection: ServerConnection, command: list[str]) -> None:
        words = [*command[:-1], str(self.key)]
        length = int(command[2].partition("head -c ")[2].partition(" ")[0])
        data = b""
        while len(data) < length:
            channel, more = channels.parse(await connection.recv())
            assert channel is Channel.STDIN
            data += more
        done = await asyncio.to_thread(subprocess.run, words, input=data, check=False)
        await _end(connection, done.returncode)

    async def _print(self, connection: ServerConnection, command: list[str], there: str, here: Path) -> None:
        words = [word.replace(there, str(here)) for word in command]
        done = await asyncio.to_thread(subprocess.run, words, capture_output=True, check=False)
        for channel, data in ((Channel.STDOUT, done.stdout), (Channel.STDERR, done.stderr)):
            for at in range(0, len(data), 32 << 10):
                await connection.send(channels.frame(channel, data[at : at + (32 << 10)]))
        await _end(connection, done.returncode)

    async def _terminal(self, connection: ServerConnection) -> None:
        shell = begin()

        async def type_in() -> None:
            async for message in connection:
                channel, data = channels.parse(message)
                if channel is Channel.STDIN:
                    await shell.write(data)
                elif channel is Channel.RESIZE:
                    size = json.loads(data)
                    await shell.resize(size["Width"], size["Height"])

        typing = asyncio.create_task(type_in())
        try:
            while not isinstance(data := await shell.read(), Outcome):
                await connection.send(channels.frame(Channel.STDOUT, data))
            await _end(connection, 0)
        except ConnectionClosed:
            pass
        finally:
            typing.cancel()
            await asyncio.gather(typing, return_exceptions=True)
            shell.end()

    async def serve_until(self, started: threading.Event, stop: asyncio.Event) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pki = self.plane.lab_state.pki
        context.load_cert_chain(pki / "server.crt", pki / "server.key")
        protocols = [Subprotocol(channels.PROTOCOL)]
        async with serve(self._handle, "127.0.0.1", 0, ssl=context, subprotocols=protocols, compression=None) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            started.set()
            await stop.wait()


async def _end(connection: ServerConnection, status: int) -> None:
    said: dict[str, object] = {"kind": "Status", "status": "Success" if status == 0 else "Failure"}
    if status != 0:
        said |= {"reason": "NonZeroExitCode", "details": {"causes": [{"reason": "ExitCode", "message": str(status)}]}}
    await connection.send(channels.frame(Channel.ERROR, json.dumps(said).encode()))


@contextlib.contextmanager
def kubelet(plane: ControlPlane, client: Client, folder: Path) -> Iterator[Kubelet]:
    """Such a kubelet, and its Node in the API."""
    made = Kubelet(plane, folder)
    started, stop = threading.Event(), asyncio.Event()
    thread = threading.Thread(
        target=made.loop.run_until_complete, args=(made.serve_until(started, stop),), name="kubelet"
    )
    thread.start()
    assert started.wait(30)
    try:
        client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "w1"}})
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": made.port}},
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        path = client.path("v1", "Node", "w1", subresource="status")
        client.json("PATCH", path, body={"status": status}, content_type="application/merge-patch+json")
        yield made
    finally:
        client.delete("v1", "Node", "w1")
        made.loop.call_soon_threadsafe(stop.set)
        thread.join()
        made.loop.close()
