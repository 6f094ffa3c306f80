"""Whatever an API server that restarts, hesitates or is young answers: commands end as they do without it."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.api.apiserver import ControlPlane
from tests.api.faults import Fault, FaultProxy, Plan, at_random
from tests.support.waits import until

from nodisk.commands.classes import class_
from nodisk.kube import patience
from nodisk.kube.client import Client, Object, connect
from nodisk.kube.errors import AlreadyExists, Conflict, NotFound
from nodisk.kube.watch import Change, Watch
from nodisk.verify.staging import staged

SEEDS = (1, 2)
NUMBERS = itertools.count()


@pytest.fixture
def proxy(plane: ControlPlane) -> Iterator[FaultProxy]:
    with FaultProxy(plane).standing(plane) as standing:
        yield standing


def in_turn(*faults: Fault) -> Plan:
    """These for the next requests, then none."""
    left = iter(faults)
    lock = threading.Lock()

    def plan(_: str, __: str) -> Fault:
        with lock:
            return next(left, Fault.NONE)

    return plan


def config_map(name: str, test: str = "faults", **data: str) -> Object:
    meta = {"name": name, "namespace": "default", "labels": {"test": test}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(Fault), max_size=8))
def test_every_verb_ends_as_without_faults(plane: ControlPlane, proxy: FaultProxy, faults: list[Fault]) -> None:
    """Each of eight requests may meet any fault: objects and answers are the same as if none had."""
    name = f"verbs-{next(NUMBERS)}"
    with plane.client(patience=120) as client:
        client.discovery.resource("v1", "ConfigMap")
        proxy.plan = in_turn(*faults)
        made = client.create(config_map(name, a="1"))
        assert made["data"] == {"a": "1"}
        assert client.replace(made | {"data": {"a": "2"}})["data"] == {"a": "2"}
        assert client.apply(config_map(name, a="3"))["data"] == {"a": "3"}
        assert client.patch("v1", "ConfigMap", name, {"data": {"b": "4"}}, namespace="default")["data"]["b"] == "4"
        found = client.list("v1", "ConfigMap", namespace="default", fields=f"metadata.name={name}")
        assert [one["data"] for one in found] == [{"a": "3", "b": "4"}]
        uid = made["metadata"]["uid"]
        assert client.delete("v1", "ConfigMap", name, namespace="default", uid=uid) is True
        proxy.plan = in_turn()
        with pytest.raises(NotFound):
            client.get("v1", "ConfigMap", name, namespace="default")


def test_another_s_object_is_never_taken_for_ones_own(plane: ControlPlane, proxy: FaultProxy) -> None:
    with plane.client(patience=30) as client:
        theirs = client.apply(config_map("theirs", a="theirs"))
        proxy.plan = in_turn(Fault.RESET, Fault.LATE)
        stale = theirs | {"data": {"a": "stale"}}
        client.apply(config_map("theirs", a="newer"))
        proxy.plan = in_turn(Fault.LOST)
        with pytest.raises(Conflict):
            client.replace(stale)
        proxy.plan = in_turn(Fault.TOO_MANY)
        with pytest.raises(AlreadyExists):
            client.create(config_map("theirs", a="mine"))
        proxy.plan = in_turn(Fault.LOST)
        client.delete("v1", "ConfigMap", "theirs", namespace="default", uid="0-0-0")
        assert proxy.met[Fault.LOST] == 2
        assert client.get("v1", "ConfigMap", "theirs", namespace="default")["data"] == {"a": "newer"}
        client.delete("v1", "ConfigMap", "theirs", namespace="default")


def run(plane: ControlPlane, *words: str) -> str:
    where = ["--lab", str(plane.lab_file), "--state", str(plane.state.root)]
    done = CliRunner().invoke(class_, [*words, *where], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def life(plane: ControlPlane, folder: Path, faults: FaultProxy, seed: int | None) -> dict[str, Any]:
    """A class's whole life by its commands; what each ended with, without what differs from run to run."""
    roster = folder / "roster.csv"
    roster.write_text("name,id\n" + "".join(f"Student {n},s{n}\n" for n in range(3)))
    kept = {}
    faults.plan = in_turn() if seed is None else at_random(seed)
    create = ("create", "stormy", "--roster", str(roster), "--overcommit", "--out", str(folder / "out"))
    for step, words in {
        "create": (*create, "--output", "json"),
        "drift": ("show", "stormy", "--drift", "--output", "json"),
        "add": ("add", "stormy", "--students", "Late Comer", "--overcommit", "--output", "json"),
        "rotate": ("rotate", "stormy", "s1", "--output", "json"),
        "suspend": ("suspend", "stormy", "s0"),
        "resume": ("resume", "stormy", "s0"),
        "remove": ("remove", "stormy", "s2", "--yes"),
        "drift again": ("show", "stormy", "--drift", "--output", "json"),
    }.items():
        kept[step] = _steady(run(plane, *words))
    faults.plan = in_turn()
    kept["files"] = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    with plane.client() as client:
        kept["objects"] = _objects(client)
    faults.plan = in_turn() if seed is None else at_random(seed)
    kept["delete"] = _steady(run(plane, "delete", "stormy", "--yes"))
    faults.plan = in_turn()
    with plane.client() as client:
        kept["left"] = _objects(client)
    return kept


VOLATILE = {"token_sha256", "expires", "created", "until", "zip", "out", "handouts"}


def _steady(text: str) -> Any:
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return _without(found)


def _without(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: _without(value) for key, value in found.items() if key not in VOLATILE}
    return [_without(one) for one in found] if isinstance(found, list) else found


def _objects(client: Client) -> list[tuple[str, str, str]]:
    kinds = [("v1", "Namespace"), ("v1", "ServiceAccount"), ("v1", "Secret"), ("v1", "ResourceQuota")]
    kinds += [("rbac.authorization.k8s.io/v1", "RoleBinding"), ("networking.k8s.io/v1", "NetworkPolicy")]
    found = []
    for api_version, kind in kinds:
        for item in client.list(api_version, kind, metadata_only=True):
            meta = item["metadata"]
            ours = meta.get("labels", {}).get("app.kubernetes.io/managed-by") == "nodisk"
            if ours and "stormy" in f"{meta.get('namespace', '')}/{meta['name']}":
                found.append((kind, meta.get("namespace", ""), meta["name"]))
    return sorted(found)


@pytest.mark.apart  # more than a minute, of which most are namespaces on their way out
@pytest.mark.usefixtures("forgotten")
def test_a_class_lives_the_same_life_in_any_weather(plane: ControlPlane, proxy: FaultProxy, tmp_path: Path) -> None:
    (tmp_path / "calm").mkdir()
    calm = life(plane, tmp_path / "calm", proxy, None)
    assert calm["objects"]
    assert calm["left"] == []
    for seed in SEEDS:
        folder = tmp_path / f"storm-{seed}"
        folder.mkdir()
        proxy.met.clear()
        storm = life(plane, folder, proxy, seed)
        assert sum(proxy.met.values()) - proxy.met[Fault.NONE] > 10
        for step, ended in calm.items():
            assert storm[step] == ended, step


def test_a_watch_misses_nothing(plane: ControlPlane, proxy: FaultProxy) -> None:
    with plane.client(patience=120) as client, plane.client(patience=120) as writer:
        proxy.plan = at_random(4, share=0.4)
        seen: dict[str, str] = {}
        watch = Watch(client, "v1", "ConfigMap", namespace="default", labels="test=watch")

        def follow() -> None:
            for event in watch:
                name = event.object["metadata"]["name"]
                seen[name] = "gone" if event.change is Change.DELETED else event.object["data"]["n"]

        thread = threading.Thread(target=follow)
        thread.start()
        for n in range(12):
            writer.apply(config_map(f"seen-{n % 4}", "watch", n=str(n), text="\x85"))
        writer.delete("v1", "ConfigMap", "seen-0", namespace="default")
        wanted = {"seen-0": "gone", "seen-1": "9", "seen-2": "10", "seen-3": "11"}
        until(lambda: {name: seen.get(name) for name in wanted} == wanted, why=lambda: seen)
        watch.close()
        thread.join(90)
        assert not thread.is_alive()
        for n in (1, 2, 3):
            writer.delete("v1", "ConfigMap", f"seen-{n}", namespace="default")


def test_a_runs_namespace_is_taken_away_although_its_deletion_times_out(plane: ControlPlane, proxy: FaultProxy) -> None:
    def plan(method: str, path: str, times: Iterator[Fault] = iter([Fault.TIMEOUT, Fault.LOST])) -> Fault:  # noqa: B008
        mine = method == "DELETE" and path.startswith("/api/v1/namespaces/nodisk-verify-")
        return next(times, Fault.NONE) if mine else Fault.NONE

    proxy.plan = plan
    with staged(plane.context, "verify") as scene:
        space = scene.space
    assert proxy.met[Fault.TIMEOUT] == proxy.met[Fault.LOST] == 1
    with plane.client(patience=120) as client:
        client.until("the run's namespace to go", lambda: _gone(client, space))


def _gone(client: Client, space: str) -> bool | None:
    try:
        client.get("v1", "Namespace", space)
    except NotFound:
        return True
    return None


def test_what_is_waited_for_is_said_once(
    plane: ControlPlane, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "QUIET", 0.0)
    said: list[str] = []
    proxy.plan = in_turn(*[Fault.UNAVAILABLE] * 3)
    with connect(plane.context, patience=120, say=said.append) as client:
        client.version()
    assert len(said) == 2
    assert "apiserver not ready; retrying for up to" in said[0]
    assert said[1] == "the API is back"
