"""The API client against a real API server: every verb, the errors by name, watches, a server that goes away."""

import signal
import threading
import time
from pathlib import Path

import pytest
from tests.api.apiserver import ControlPlane
from tests.support.access import allowed
from tests.support.waits import until

from nodisk.kube import kubeconfig
from nodisk.kube.client import Client
from nodisk.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound, Unauthorized, Unreachable
from nodisk.kube.patience import LOOK
from nodisk.kube.watch import Change, Watch, wait_for
from nodisk.parallel import all_or_raise, in_parallel


def config_map(name: str, namespace: str = "default", **data: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {"test": "client"}},
        "data": data,
    }


def test_verbs(client: Client) -> None:
    assert client.version().line >= (1, 20)
    made = client.create(config_map("verbs", a="1"))
    with pytest.raises(AlreadyExists, match="verbs"):
        client.create(config_map("verbs"))
    assert client.apply(config_map("verbs", a="2"))["data"] == {"a": "2"}
    assert client.patch("v1", "ConfigMap", "verbs", {"data": {"b": "3"}}, namespace="default")["data"]["b"] == "3"
    made["data"] = {}
    with pytest.raises(Conflict):
        client.replace(made)
    assert client.delete("v1", "ConfigMap", "verbs", namespace="default") is True
    assert client.delete("v1", "ConfigMap", "verbs", namespace="default") is False
    with pytest.raises(NotFound):
        client.get("v1", "ConfigMap", "verbs", namespace="default")
    with pytest.raises(Invalid):
        client.create(config_map("Not_A_Name"))
    with pytest.raises(NotFound, match="no Nonsense in v1"):
        client.list("v1", "Nonsense")


def test_apply_conflicts_only_without_force(client: Client) -> None:
    client.apply(config_map("owned", a="1"))
    client.patch("v1", "ConfigMap", "owned", {"data": {"a": "by hand"}}, namespace="default")
    path = client.path("v1", "ConfigMap", "owned", namespace="default")
    other = {"fieldManager": "somebody", "force": "true"}
    body = config_map("owned", a="theirs")
    client.request("PATCH", path, params=other, body=body, content_type="application/apply-patch+yaml")
    with pytest.raises(Conflict, match="somebody"):
        client.apply(config_map("owned", a="ours"), force=False)
    assert client.apply(config_map("owned", a="ours"))["data"] == {"a": "ours"}
    assert client.apply(config_map("dry", a="1"), dry_run=True)["data"] == {"a": "1"}
    with pytest.raises(NotFound):
        client.get("v1", "ConfigMap", "dry", namespace="default")


def test_lists_in_chunks(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    all_or_raise(in_parallel(client.apply, [config_map(f"chunk-{n}", n=str(n)) for n in range(25)]))
    monkeypatch.setattr("nodisk.kube.reader.PAGE", 7)
    found = [
        item for item in client.list("v1", "ConfigMap", labels="test=client") if "chunk-" in item["metadata"]["name"]
    ]
    assert {item["data"]["n"] for item in found} == {str(n) for n in range(25)}
    assert {(item["apiVersion"], item["kind"]) for item in found} == {("v1", "ConfigMap")}
    thin = client.list("v1", "ConfigMap", labels="test=client", metadata_only=True)
    assert len(thin) >= 25
    assert not any("data" in item for item in thin)


def test_discovery_and_unsafe_names(client: Client) -> None:
    assert client.supports("apps/v1", "Deployment")
    assert not client.supports("apps/v9", "Deployment")
    assert client.first_supported("Deployment", ["apps/v9", "apps/v1"]) == "apps/v1"
    assert "v1" in client.discovery.groups()["apps"]
    for name in ("..", "a/b", ""):
        with pytest.raises(ValueError, match="not the name"):
            client.get("v1", "Namespace", name)


def test_tokens(client: Client) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bound", "namespace": "default"}}
    bound = client.apply(secret)
    token, expires = client.token("default", "default", seconds=3600, bound_to=bound)
    assert expires > time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    student = client.with_token(token, patience=2)
    with pytest.raises(Forbidden, match="system:serviceaccount:default:default"):
        student.list("v1", "Node")
    assert not allowed(student, "list", "nodes")
    assert allowed(client, "list", "nodes")
    client.delete("v1", "Secret", "bound", namespace="default")

    def ended() -> bool:
        try:
            student.list("v1", "Node")
        except Unauthorized:
            return True
        except Forbidden:
            return False
        raise AssertionError("it may list nodes")

    # The API server remembers a token for ten seconds.
    until(ended, every=0.1, why="the token outlived the secret that it was bound to")
    assert token not in repr([value for value in vars(student).values() if value != token])


def test_watch_goes_on_over_a_cut(plane: ControlPlane, client: Client) -> None:
    client.apply(config_map("watched", a="0"))
    seen: list[tuple[Change, str]] = []
    watch = Watch(client, "v1", "ConfigMap", namespace="default", fields="metadata.name=watched")

    def follow() -> None:
        for event in watch:
            seen.append((event.change, event.object.get("data", {}).get("a", "")))

    thread = threading.Thread(target=follow)
    thread.start()
    until(lambda: (Change.ADDED, "0") in seen)
    client.apply(config_map("watched", a="1"))
    until(lambda: (Change.MODIFIED, "1") in seen)
    plane.forwarder.cut()
    plane.kubectl("-n", "default", "delete", "configmap", "watched")
    plane.forwarder.mend()
    until(lambda: seen[-1][0] is Change.DELETED)
    watch.close()
    thread.join(60)
    assert not thread.is_alive()
    assert [change for change, _ in seen] == [Change.ADDED, Change.MODIFIED, Change.DELETED]


def test_a_watch_that_is_closed_before_its_stream_begins_ends_at_once(client: Client) -> None:
    """There is no socket yet to shut, and the API says nothing for a minute."""

    def close() -> None:
        watch.close()

    watch = Watch(client, "v1", "ConfigMap", namespace="default", on_listed=close)
    thread = threading.Thread(target=lambda: list(watch))
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


def test_watch_starts_anew_after_compaction(client: Client) -> None:
    client.apply(config_map("compacted", a="0"))
    watch = Watch(
        client, "v1", "ConfigMap", namespace="default", fields="metadata.name=compacted", resource_version="1"
    )
    event = next(iter(watch))
    watch.close()
    assert event.object["metadata"]["name"] == "compacted"


def test_wait_ends_in_time(client: Client) -> None:
    start = time.monotonic()
    events = list(wait_for(client, "v1", "Namespace", fields="metadata.name=default", seconds=5))
    assert [event.change for event in events] == [Change.ADDED]
    assert 4.9 < time.monotonic() - start < 30


def test_unreachable_is_bounded_and_says_so(plane: ControlPlane) -> None:
    with plane.client(patience=1) as impatient:
        impatient.get("v1", "Namespace", "default")
        plane.forwarder.cut()
        start = time.monotonic()
        with pytest.raises(Unreachable, match="no answer"):
            impatient.get("v1", "Namespace", "default")
        assert time.monotonic() - start < LOOK
        plane.forwarder.mend()
        assert impatient.get("v1", "Namespace", "default")


def test_a_restart_is_waited_for(plane: ControlPlane) -> None:
    with plane.client(patience=180) as patient:
        patient.get("v1", "Namespace", "default")
        plane.stop_process("kube-apiserver", how=signal.SIGKILL)
        restart = threading.Timer(0.5, plane.start_api)
        restart.start()
        patient.apply(config_map("after-restart", a="1"))
        assert patient.get("v1", "ConfigMap", "after-restart", namespace="default")["data"] == {"a": "1"}
        restart.join()


def test_what_the_server_asks_to_try_again_is_tried_again(plane: ControlPlane) -> None:
    """Up to 1.23, a pod is refused until the controllers have made its account's token: 500 with Retry-After."""
    controllers = plane.processes["kube-controller-manager"]
    controllers.send_signal(signal.SIGSTOP)
    resume = threading.Timer(2, controllers.send_signal, [signal.SIGCONT])
    resume.start()
    account = {"name": "just-made", "namespace": "default"}
    with plane.client(patience=120) as client:
        client.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
        spec = {"serviceAccountName": "just-made", "containers": [{"name": "main", "image": "main"}]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": account, "spec": spec}
        assert client.create(pod)["spec"]["serviceAccountName"] == "just-made"
    resume.join()


def test_another_ca_is_refused_at_once(plane: ControlPlane, tmp_path: Path) -> None:
    endpoint = kubeconfig.load(plane.kubeconfig)
    stranger = plane.authority.ca_pem  # the CA of nginx's TLS, not the cluster's
    other = kubeconfig.Endpoint(endpoint.server, stranger, endpoint.cert_pem, endpoint.key_pem)
    start = time.monotonic()
    with Client(other, patience=120) as client, pytest.raises(Unreachable, match="not signed by this lab"):
        client.version()
    assert time.monotonic() - start < 60
