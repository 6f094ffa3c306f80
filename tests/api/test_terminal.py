"""A student's terminal on a real API server: whose rights make its pod, and what they end. tests/api/kubelet.py has
what is no real kubelet."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.api.apiserver import ControlPlane
from tests.api.kubelet import Kubelet, kubelet
from tests.api.test_door import make, until_refused
from tests.support.shells import PROMPT

from nodisk.classes import accounts, actions, own, record, terminal
from nodisk.classes.record import Class
from nodisk.console import terminal_pods
from nodisk.console.terminal_pods import FOREIGN, NO_MACHINE, NO_ROOM, InCluster, NoTerminal, Ready, Shell
from nodisk.console.terminals import Terminals
from nodisk.kube import exec as execs
from nodisk.kube import goyaml
from nodisk.kube.channels import Outcome
from nodisk.kube.client import Client
from nodisk.kube.errors import Forbidden, Unauthorized

pytestmark = pytest.mark.usefixtures("forgotten")


@pytest.fixture
def w1(plane: ControlPlane, client: Client, tmp_path: Path) -> Iterator[Kubelet]:
    with kubelet(plane, client, tmp_path) as made:
        yield made


@pytest.fixture
def pods(plane: ControlPlane) -> InCluster:
    return InCluster(plane.context, asyncio.Semaphore(4))


async def say(sentence: str, detail: str) -> None:
    """What a page would show."""


async def prepared(pods: InCluster, found: Class, w1: Kubelet, client: Client) -> Ready:
    """A pod that is asked for by the student, and started by the kubelet meanwhile."""
    student = found.students[0]
    asked = asyncio.create_task(pods.prepare(found, student, say))
    started = asyncio.to_thread(w1.run, client, found.namespace(student))
    done, _ = await asyncio.wait([asked, asyncio.ensure_future(started)], return_when=asyncio.FIRST_EXCEPTION)
    for one in done:
        one.result()
    return await asked


async def until(shell: Shell, text: str) -> str:
    said = ""
    async with asyncio.timeout(60):
        while text not in said:
            data = await shell.read()
            assert not isinstance(data, Outcome), (said, data)
            said += data.decode()
    return said


def test_the_student_s_own_rights_make_it_and_keys_echo(
    plane: ControlPlane, client: Client, pods: InCluster, w1: Kubelet, tmp_path: Path
) -> None:
    found = make(plane, client, "tmake", tmp_path / "handouts")
    jan, space = found.students[0], "tmake-jan-kowalski"

    async def use() -> Ready:
        ready = await prepared(pods, found, w1, client)
        async with pods.shell(found, jan, ready) as shell:
            await shell.resize(123, 45)
            await until(shell, PROMPT)
            await shell.write(b"stty size; echo $((6*7))-$((1+1))\n")
            assert "45 123" in await until(shell, "42-2")
            await shell.write(b"exit\n")
            while not isinstance(data := await shell.read(), Outcome):
                pass
            assert data == Outcome(0)
        return ready

    ready = asyncio.run(use())
    pod = client.get("v1", "Pod", "terminal", namespace=space)
    assert ready.container == "containerd://1"
    # The key is in the pod's memory, and nowhere in what the API holds or was asked for.
    assert ready.token not in json.dumps(pod)
    assert not any(ready.token in path for path in w1.paths)
    key = goyaml.documents(w1.key.read_bytes())[0]
    assert key["users"][0]["user"]["token"] == ready.token
    assert key["contexts"][0]["context"]["namespace"] == space
    assert key["clusters"][0]["cluster"]["server"] == "https://10.77.0.1:6443"
    assert w1.key.stat().st_mode & 0o777 == 0o600
    who = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {}}
    review = client.create(who | {"spec": {"token": ready.token}})
    assert review["status"]["user"]["username"] == "system:serviceaccount:tmake:jan-kowalski-1"
    managers = {one["manager"] for one in pod["metadata"]["managedFields"]}
    assert managers >= {"nodisk"}
    assert "app.kubernetes.io/managed-by" not in pod["metadata"]["labels"], "the student may delete it"
    policy = client.get("networking.k8s.io/v1", "NetworkPolicy", "nodisk-terminal", namespace=space)
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()

    # A second connect goes on with the same pod, with a new key.
    again = asyncio.run(pods.prepare(found, jan, say))
    assert again.container == ready.container
    assert again.token != ready.token


def test_the_key_is_renewed_under_a_shell_that_goes_on(
    plane: ControlPlane, client: Client, pods: InCluster, w1: Kubelet, tmp_path: Path
) -> None:
    found = make(plane, client, "trenew", tmp_path / "handouts")
    jan = found.students[0]

    def key() -> str:
        return str(goyaml.documents(w1.key.read_bytes())[0]["users"][0]["user"]["token"])

    async def use() -> None:
        ready = await prepared(pods, found, w1, client)
        async with pods.shell(found, jan, ready) as shell:
            await until(shell, PROMPT)
            assert key() == ready.token
            assert ready.life == 3600
            assert await pods.renew(found, jan) == 3600
            assert key() != ready.token
            await shell.write(b"echo $((6*7))-on\n")
            await until(shell, "42-on")
            await shell.write(b"exit\n")
            while not isinstance(await shell.read(), Outcome):
                pass

    asyncio.run(use())
    who = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {}}
    review = client.create(who | {"spec": {"token": key()}})
    assert review["status"]["user"]["username"] == "system:serviceaccount:trenew:jan-kowalski-1"


def test_another_student_can_t_have_it(
    plane: ControlPlane, client: Client, pods: InCluster, w1: Kubelet, tmp_path: Path
) -> None:
    found = make(plane, client, "tother", tmp_path / "handouts")

    async def use() -> None:
        await prepared(pods, found, w1, client)
        theirs = own.token(plane.context, found, found.students[1])
        with pytest.raises(Forbidden):
            async with execs.opened(
                plane.context, theirs, "tother-jan-kowalski", terminal.NAME, terminal.SHELL, tty=True
            ):
                pass

    asyncio.run(use())


def test_a_full_quota_refuses_it_in_words(plane: ControlPlane, client: Client, pods: InCluster, tmp_path: Path) -> None:
    found = make(plane, client, "tfull", tmp_path / "handouts")
    space = "tfull-jan-kowalski"
    container = {"name": "web", "image": "nodisk/echo:1"}
    meta = {"name": "web", "namespace": space}
    client.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container]}})
    client.patch("v1", "ResourceQuota", "nodisk", {"spec": {"hard": {"pods": "0"}}}, namespace=space)
    client.until("the quota's controller has seen it", lambda: _hard(client, space) == "0")
    with pytest.raises(NoTerminal) as caught:
        asyncio.run(pods.prepare(found, found.students[0], say))
    assert caught.value.message == NO_ROOM
    assert "exceeded quota: nodisk" in caught.value.detail
    assert "pods: web" in caught.value.detail, "what could be deleted"


def _hard(client: Client, space: str) -> str:
    quota = client.get("v1", "ResourceQuota", "nodisk", namespace=space)
    return str((quota.get("status") or {}).get("hard", {}).get("pods"))


def test_a_pod_of_that_name_that_is_the_student_s_stays(
    plane: ControlPlane, client: Client, pods: InCluster, tmp_path: Path
) -> None:
    found = make(plane, client, "tforeign", tmp_path / "handouts")
    space = "tforeign-jan-kowalski"
    container = {"name": "web", "image": "nodisk/echo:1"}
    meta = {"name": "terminal", "namespace": space}
    client.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container]}})
    with pytest.raises(NoTerminal) as caught:
        asyncio.run(pods.prepare(found, found.students[0], say))
    assert caught.value.message == FOREIGN
    assert client.get("v1", "Pod", "terminal", namespace=space)["spec"]["containers"][0]["image"] == "nodisk/echo:1"


def test_rotating_ends_its_token_and_suspending_its_pod(
    plane: ControlPlane, client: Client, pods: InCluster, w1: Kubelet, tmp_path: Path
) -> None:
    found = make(plane, client, "tend", tmp_path / "handouts")
    jan, space = found.students[0], "tend-jan-kowalski"
    ready = asyncio.run(prepared(pods, found, w1, client))
    made = actions.rotate(plane.context, client, found, [jan], folder=tmp_path / "handouts")
    actions.raise_first(made.failed)
    until_refused(client.with_token(ready.token, patience=5), space)

    async def old_token() -> None:
        with pytest.raises((Forbidden, Unauthorized)):
            async with execs.opened(plane.context, ready.token, space, terminal.NAME, terminal.SHELL, tty=True):
                pass

    asyncio.run(old_token())
    rotated = record.need(plane.lab_state, "tend")
    done = accounts.set_suspended(client, rotated, plane.lab, [rotated.students[0]], True, by_hand=True)
    record.save(plane.lab_state, done.record)
    # Also a console that has just started finds the pod, and ends it.
    asyncio.run(Terminals(pods).sweep(plane.context))
    assert [one["metadata"]["name"] for one in client.list("v1", "Pod", namespace=space)] == []


def test_a_pod_that_no_machine_takes_is_told_apart(
    plane: ControlPlane, client: Client, pods: InCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a power cut: what the scheduler says passes when a machine is back, and is worth waiting for."""
    monkeypatch.setattr(terminal_pods, "FRUITLESS", 0.0)
    found = make(plane, client, "tnowhere", tmp_path / "handouts")
    jan, space = found.students[0], "tnowhere-jan-kowalski"
    client.create(terminal.pod(found, jan))
    says = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes are available"}
    path = client.path("v1", "Pod", "terminal", namespace=space, subresource="status")
    client.json("PATCH", path, body={"status": {"conditions": [says]}}, content_type="application/merge-patch+json")
    with pytest.raises(NoTerminal) as caught:
        asyncio.run(pods.prepare(found, jan, say))
    assert caught.value.message == NO_MACHINE
    assert "0/2 nodes are available" in caught.value.detail


def test_an_api_that_is_away_is_said(plane: ControlPlane, client: Client, pods: InCluster, tmp_path: Path) -> None:
    found = make(plane, client, "taway", tmp_path / "handouts")
    plane.forwarder.cut()
    try:
        with pytest.raises(NoTerminal, match="does not answer"):
            asyncio.run(pods.prepare(found, found.students[0], say))
    finally:
        plane.forwarder.mend()
