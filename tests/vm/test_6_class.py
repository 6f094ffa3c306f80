"""A class on the lab's machines: the thesis' chapter 8.2.1 from the printed sheet, storage, and nothing left."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from tests.vm import sheet
from tests.vm.driver import Driver

from nodisk import ports, run
from nodisk.assets.container_images import ECHO, ECHO_PORT
from nodisk.assets.store import Store
from nodisk.classes.selftest import REACH
from nodisk.kube import kubeconfig
from nodisk.machines import processes
from nodisk.records import running
from nodisk.state import DEFAULT_STATE, State
from nodisk.storage import volumes

pytestmark = pytest.mark.vm

NAME = "vmclass"
REMOVE = ("--yes", "--storage-policy", "remove", "--timeout", "900")
JAN, EWA = "vmclass-jan-kowalski", "vmclass-ewa-lis"
SERVER = "10.78.0.1"
REGISTRY = f"{SERVER}:{ports.CLASS_REGISTRY}"
OWN = f"{REGISTRY}/{JAN}/echo:1"
"""Jan's own image."""


@dataclass(frozen=True)
class Made:
    """The class, its handouts, and what there was before it."""

    vm: Driver
    out: Path
    answer: Mapping[str, Any]
    namespaces: frozenset[str]

    def file(self, name: str) -> str:
        return (self.out / name).read_text(encoding="utf-8")


def namespaces(vm: Driver) -> frozenset[str]:
    return frozenset(item["metadata"]["name"] for item in vm.kubectl("get", "namespaces")["items"])


@pytest.fixture(scope="module")
def made(vm: Driver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    out = tmp_path_factory.mktemp("class") / "handouts"
    before = namespaces(vm)
    words = ("--students", "Jan Kowalski,Ewa Lis", "--storage", "64Mi", "--days", "2", "--overcommit")
    done = vm("class", "create", NAME, *words, "--out", str(out), "--output", "json")
    yield Made(vm, out, json.loads(done.stdout), before)
    vm("class", "delete", NAME, *REMOVE, check=False, timeout=1200)


def test_the_class_is_made_and_tried(made: Made) -> None:
    assert made.answer["failed"] == {}
    found = {one["tried"]: one for one in made.answer["isolation"]}
    assert [one for one in found.values() if one["verdict"] == "hole"] == []
    # Two students' pods on two machines: really tried, and kept apart by the rules that the machines apply.
    assert (found[REACH]["verdict"], found[REACH]["happened"][:8]) == ("ok", "refused:"), found[REACH]

    def bound() -> bool:
        claims = [made.vm.kubectl("-n", name, "get", "pvc", "home") for name in (JAN, EWA)]
        return all(claim["status"].get("phase") == "Bound" for claim in claims)

    made.vm.wait(bound, "both students' claims are bound")


def student(made: Made, folder: Path, steps: list[sheet.Step]) -> Mapping[str, CompletedProcess[str]]:
    """Do steps as Jan: with the key file and the sheet, in the room's network, and nothing else."""
    shutil.copy(made.out / "jan-kowalski.kubeconfig", folder)
    return sheet.follow(steps, folder, netns=made.vm.context().netns, timeout=2400)


def test_the_printed_sheet_line_by_line(made: Made, tmp_path: Path) -> None:
    steps = sheet.steps(made.file("jan-kowalski.en.html"))
    assert [s.commands for s in sheet.steps(made.file("jan-kowalski.pl.html"))] == [s.commands for s in steps]
    done = student(made, tmp_path, steps)
    fetch, check, forbidden, deploy, expose, files, clean = done.values()
    assert "kubectl: OK" in fetch.stdout
    assert (check.returncode, f"No resources found in {JAN} namespace." in check.stdout) == (0, True), check.stdout
    assert forbidden.returncode == 1
    assert "(Forbidden)" in forbidden.stdout
    assert 'cannot list resource "nodes"' in forbidden.stdout
    assert deploy.returncode == 0, deploy.stdout
    assert len(re.findall(r"^echo-\S+ +1/1 +Running", deploy.stdout, re.M)) == 2, deploy.stdout
    assert expose.returncode == 0, expose.stdout
    assert re.search(r"^pod: ", expose.stdout, re.M), expose.stdout
    assert files.returncode == 0, files.stdout
    assert re.search(r"\d\d:\d\d:\d\d", files.stdout), files.stdout
    assert clean.returncode == 0, clean.stdout
    assert f"No resources found in {JAN} namespace." in clean.stdout


def pod(space: str, name: str, node: str, volume: Mapping[str, Any], *, image: str = ECHO) -> dict[str, Any]:
    """A pod that answers on the echo's port, with a volume at /home."""
    mount = {"name": "home", "mountPath": "/home"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": space, "labels": {"app": name}},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": image, "volumeMounts": [mount]}],
            "volumes": [{"name": "home", **volume}],
        },
    }


def apply(vm: Driver, *pods: Mapping[str, Any]) -> None:
    path = vm.file.with_name("pods.json")
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": pods}))
    vm("kubectl", "apply", "-f", str(path))


def ready(vm: Driver, space: str, name: str) -> None:
    vm("kubectl", "-n", space, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=580s")


def sh(vm: Driver, space: str, name: str, script: str, *, check: bool = True) -> CompletedProcess[str]:
    return vm("kubectl", "-n", space, "exec", name, "--", "sh", "-c", script, check=check)


CLAIM = {"persistentVolumeClaim": {"claimName": "home"}}


def push_own(made: Made, folder: Path) -> None:
    """Push the echo's image under another name, with the token of Jan's key: what a student's computer would do."""
    store = Store(State(DEFAULT_STATE))
    manifest = next(one for one in reversed(store.manifests()) if one.kind == "containers")
    token = kubeconfig.load(made.out / "jan-kowalski.kubeconfig").token
    login = base64.b64encode(f"jan:{token}".encode()).decode()
    (folder / "auth.json").write_text(json.dumps({"auths": {REGISTRY: {"auth": login}}}))
    context = made.vm.context()
    shutil.copyfile(context.state.pki / "server-ca.crt", folder / "ca.crt")
    words: list[str | Path] = ["skopeo", "--insecure-policy", "copy", "--quiet"]
    words += ["--dest-authfile", folder / "auth.json", "--dest-cert-dir", folder]
    words += [f"docker-archive:{store.path(manifest.file('echo.tar'))}", f"docker://{OWN}"]
    run.run(words, netns=context.netns, timeout=600)


@pytest.fixture(scope="module")
def pods(made: Made, tmp_path_factory: pytest.TempPathFactory) -> None:
    """All that can start at once does: each takes an emulated machine most of a minute."""
    push_own(made, tmp_path_factory.mktemp("push"))
    apply(
        made.vm,
        pod(JAN, "writer", "w1", CLAIM, image=OWN),
        pod(EWA, "other", "w2", CLAIM),
        pod(EWA, "wrong", "w1", {"nfs": {"server": SERVER, "path": f"/{'0' * 32}"}}),
        pod(EWA, "root", "w1", {"nfs": {"server": SERVER, "path": "/"}}),
    )


@pytest.mark.usefixtures("pods")
def test_files_outlive_pods_and_machines_and_end_at_their_size(made: Made) -> None:
    vm = made.vm
    ready(vm, JAN, "writer")
    mounted = sh(vm, JAN, "writer", "echo from w1 >/home/kept; grep ' /home ' /proc/mounts").stdout
    assert " nfs4 " in mounted
    assert "vers=4.1" in mounted
    assert "nosuid,nodev" in mounted
    vm("kubectl", "-n", JAN, "delete", "pod", "writer")
    apply(vm, pod(JAN, "reader", "w2", CLAIM))

    # Ewa has all of hers, and sees nothing of Jan's.
    ready(vm, EWA, "other")
    whole = "ls -A /home; dd if=/dev/zero of=/home/big bs=1048576 count=50 conv=fsync 2>/dev/null && rm /home/big"
    assert sh(vm, EWA, "other", whole).stdout == ""
    # A pod can't speak to the NFS server itself.
    assert sh(vm, EWA, "other", f"timeout 5 nc {SERVER} 2049 -e true", check=False).returncode != 0

    ready(vm, JAN, "reader")
    assert sh(vm, JAN, "reader", "cat /home/kept").stdout == "from w1\n"
    full = sh(vm, JAN, "reader", "dd if=/dev/zero of=/home/big bs=1048576 count=100 conv=fsync", check=False)
    assert full.returncode != 0
    assert "No space left on device" in full.stdout + full.stderr
    total, _, left = sh(vm, JAN, "reader", "df -kP /home | tail -1; rm /home/big").stdout.split()[1:4]
    assert 64 * 1024 <= int(total) <= 80 * 1024
    assert int(left) <= 1024  # the client rounds up to whole blocks, of 1 MiB here

    # The server reads lab.yaml again, which the NFS server does not notice. Then that starts anew under the pod.
    state = vm.context().state
    since = (state.run / running.READY).stat().st_mtime_ns
    assert running.reload(state)
    again = state.run / running.READY
    vm.wait(lambda: again.exists() and again.stat().st_mtime_ns != since, "the server has read it")
    for pid in processes.find(["ganesha.nfsd", str(state.conf / "ganesha.conf")]):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    volumes.wait(state, [v for v in volumes.load_all(state) if v.state == "exported"], seconds=600)

    def goes_on() -> bool:
        return sh(vm, JAN, "reader", "cat /home/kept", check=False).stdout == "from w1\n"

    vm.wait(goes_on, "the pod reads its file again")
    # Again if it must be: a kubelet that heard nothing from the API for a while drops the connections that it had.
    add = "grep -q still /home/kept || echo still >>/home/kept; cat /home/kept"

    def written() -> bool:
        return sh(vm, JAN, "reader", add, check=False).stdout == "from w1\nstill\n"

    vm.wait(written, "the pod writes to its file again")


@pytest.mark.usefixtures("pods")
def test_a_pod_that_mounts_by_itself_finds_nothing(made: Made) -> None:
    """Where the release has no admission policy against it, the secret paths hold."""
    vm = made.vm

    def failed(name: str) -> bool:
        events = vm.kubectl("-n", EWA, "get", "events", "--field-selector", f"involvedObject.name={name}")["items"]
        return any(event["reason"] == "FailedMount" for event in events)

    vm.wait(lambda: failed("wrong"), "the wrong path can't be mounted")

    def phase(name: str) -> str:
        return str(vm.kubectl("-n", EWA, "get", "pod", name)["status"]["phase"])

    vm.wait(lambda: phase("root") == "Running" or failed("root"), "the root is mounted or refused")
    assert phase("wrong") == "Pending"
    if phase("root") == "Running":
        listed = sh(vm, EWA, "root", "ls -A /home", check=False)
        assert listed.returncode != 0
        assert "ermission denied" in listed.stderr
        assert not re.search(r"[0-9a-f]{32}", listed.stdout)
        path = next(v.path for v in volumes.load_all(vm.context().state) if v.name.startswith(JAN))
        assert path not in sh(vm, EWA, "root", "cat /proc/mounts").stdout
    vm("kubectl", "-n", EWA, "delete", "pod", "wrong", "root", "--grace-period=0", "--force")


@pytest.mark.usefixtures("pods")
def test_nothing_is_left_of_the_class(made: Made, tmp_path: Path) -> None:
    vm = made.vm
    netns = vm.context().netns
    fetch = student(made, tmp_path, sheet.steps(made.file("jan-kowalski.en.html"))[:1])
    assert all(done.returncode == 0 for done in fetch.values())
    ready(vm, EWA, "other")
    vm("kubectl", "-n", EWA, "expose", "pod", "other", "--type=NodePort", f"--port={ECHO_PORT}")
    (port,) = vm.kubectl("-n", EWA, "get", "service", "other")["spec"]["ports"]
    url = f"http://10.78.0.21:{port['nodePort']}/"

    def ask() -> CompletedProcess[str]:
        return run.run(["curl", "-sS", "--max-time", "20", url], netns=netns, check=False)

    # Here and below kube-proxy of the other machine needs its moment.
    vm.wait(lambda: "pod: " in ask().stdout, "the pod on w2 answers by w1")
    deleted = vm("class", "delete", NAME, *REMOVE, timeout=1200)
    assert "deleted class" in deleted.stderr
    vm.wait(lambda: ask().returncode == 7, "its port is refused, as in the thesis")
    assert namespaces(vm) <= made.namespaces  # one of another test may just be going
    for kind in ("pv", "storageclasses"):
        assert vm.kubectl("get", kind)["items"] == [], kind
    roles = {role["metadata"]["name"] for role in vm.kubectl("get", "clusterroles")["items"]}
    assert not any(name.startswith("nodisk-student") for name in roles)
    state = vm.context().state
    assert volumes.load_all(state) == []
    assert not list(volumes.folder(state).glob("*.img"))
    assert not list(made.out.parent.glob("handouts/*"))
    # The key is good for nothing.
    answer = student_again(made, tmp_path)
    assert "Unauthorized" in answer.stdout + answer.stderr


def student_again(made: Made, folder: Path) -> CompletedProcess[str]:
    words = ["./kubectl", "--kubeconfig=jan-kowalski.kubeconfig", "get", "pods"]
    return run.run(words, cwd=folder, netns=made.vm.context().netns, check=False, timeout=600)
