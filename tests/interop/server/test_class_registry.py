"""Students push and pull images by skopeo, and a machine by containerd: a real API server says who may."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.api.apiserver import ControlPlane, binaries
from tests.interop.server.pullers import Image, containerd, find_containerd
from tests.interop.server.rooms import LAB, Room, make_room
from tests.support.inside import inside
from tests.support.student_computer import computer
from tests.support.waits import LONG

from nodisk import ports, run
from nodisk.assets import docker_archive
from nodisk.backup.volumes import seen_by
from nodisk.classes import accounts, actions, plan, record, sizes
from nodisk.classes.roster import Person
from nodisk.kube import kubeconfig
from nodisk.records import running
from nodisk.records.events import Kind
from nodisk.server import class_registry_garbage
from nodisk.storage import class_registry
from nodisk.waiting import Deadline, until

pytestmark = pytest.mark.interop
WITH = LAB + "class_registry: {{size: 48MiB, per_namespace: 16MiB}}\n"
DOCKERD = """\
dockerd --bridge none --iptables=false --ip6tables=false >/var/log/dockerd.log 2>&1 &
until docker version >/dev/null 2>&1; do
    kill -0 $! || { cat /var/log/dockerd.log; exit 1; }
    sleep 0.5
done"""
"""Docker's daemon, without a network of its own for containers."""
REGISTRY = f"10.99.0.1:{ports.CLASS_REGISTRY}"


def relay(netns: str, address: str, to: int) -> socket.socket:
    """The API server at a machine's address: what comes there goes to loopback, outside the namespace."""
    listener = inside(netns, lambda: socket.create_server((address, ports.API)))

    def copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        finally:
            for one in (source, target):
                one.close()

    def accept() -> None:
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", to))
            except OSError:
                return
            for pair in ((near, far), (far, near)):
                threading.Thread(target=copy, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener


@dataclass
class Class:
    """A room, an API server, two students and what they do."""

    room: Room
    plane: ControlPlane
    found: record.Class
    folder: Path

    @property
    def images(self) -> Path:
        """The registry's folder, which only the server's own processes see mounted."""
        return seen_by(running.process(self.room.state), self.room.state.class_registry)

    def large(self) -> int:
        """Layers of 4 MiB, and no more than 5."""
        blobs = self.images / "docker/registry/v2/blobs/sha256"
        return sum((4 << 20) <= file.stat().st_size < (5 << 20) for file in blobs.glob("*/*/data"))

    def reload(self, *, size: str) -> list[str]:
        """With another ``size`` in lab.yaml; returns what the server said since, up to that it has read that."""
        text = self.room.lab_file.read_text()
        old = next(line for line in text.splitlines() if line.startswith("class_registry:"))
        self.room.lab_file.write_text(text.replace(old, f"class_registry: {{size: {size}, per_namespace: 16MiB}}"))
        assert self.room.server is not None
        before = len(self.said())
        self.room.server.send_signal(signal.SIGHUP)
        read = Deadline(LONG)
        assert until(lambda: any("reloaded lab.yaml" in line for line in self.said()[before:]), read, every=0.2)
        return self.said()[before:]

    def said(self) -> list[str]:
        with self.room.database() as database:
            return [event.detail for event in database.events(kinds=(Kind.DAEMON,))]

    def namespace(self, student: str) -> str:
        return next(self.found.namespace(one) for one in self.found.students if student in one.label)

    def token(self, student: str) -> str:
        file = next(file for file in (self.folder / "handouts").glob("*.kubeconfig") if student in file.name)
        return kubeconfig.load(file).token or ""

    def skopeo(self, student: str, *words: str) -> subprocess.CompletedProcess[str]:
        """As a student on a computer of their own: the CA and a login, nothing else."""
        folder = self.folder / student
        (folder / "certs").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.room.state.pki / "server-ca.crt", folder / "certs/ca.crt")
        login = base64.b64encode(f"{student}:{self.token(student)}".encode()).decode()
        (folder / "auth.json").write_text(json.dumps({"auths": {REGISTRY: {"auth": login}}}))
        argv = ["skopeo", "--insecure-policy", *words]
        netns = ["ip", "netns", "exec", f"{self.room.name}-stranger"]
        return subprocess.run([*netns, *argv], text=True, capture_output=True, check=False, timeout=2 * LONG)

    def login(self, student: str) -> list[str]:
        return [f"--authfile={self.folder / student / 'auth.json'}", f"--cert-dir={self.folder / student / 'certs'}"]

    def push(self, student: str, name: str, size: int = 1000) -> str:
        """Push an image; returns what went wrong, or nothing."""
        file, archive = self.folder / "content", self.folder / "image.tar"
        with Path("/dev/urandom").open("rb") as source:
            file.write_bytes(source.read(size))
        docker_archive.write(
            archive,
            name="student/image:1",
            entries=[docker_archive.Entry("file", file)],
            config=docker_archive.Config(("/file",)),
            work=self.folder,
        )
        options = [word.replace("--cert-dir", "--dest-cert-dir") for word in self.login(student)]
        made = self.skopeo(student, "copy", *options, f"docker-archive:{archive}", f"docker://{REGISTRY}/{name}")
        return "" if made.returncode == 0 else made.stderr

    def pull(self, student: str, name: str, *, login: bool = True) -> str:
        options = self.login(student) if login else [f"--cert-dir={self.folder / student / 'certs'}"]
        found = self.skopeo(student, "inspect", *options, f"docker://{REGISTRY}/{name}")
        return "" if found.returncode == 0 else found.stderr


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Class]:
    folder = tmp_path_factory.mktemp("registry")
    plane = ControlPlane(folder / "plane", binaries(), name="test", subnet="10.99.0")
    room = make_room("full", lab=WITH)
    try:
        plane.start()
        shutil.copytree(plane.lab_state.pki, room.state.pki)
        for machine in room.lab.machines:
            room.plug(str(machine.name), str(machine.mac), str(machine.address))
        room.plug("stranger", "52:54:00:99:00:66", "10.99.0.66")
        with relay(f"{room.name}-cp1", "10.99.0.11", plane.port), plane.client() as client:
            room.start()
            planned = plan.merge(
                None,
                [Person("anna"), Person("jan")],
                name="k8s",
                now=record.now(),
                size=sizes.find("small"),
                role="edit",
            )
            made = actions.create(plane.context, client, planned.record, folder=folder / "handouts")
            actions.raise_first(made.failed)
            found = record.load(plane.lab_state, "k8s")
            assert found is not None
            yield Class(room, plane, found, folder)
    finally:
        room.close()
        plane.stop()


def test_an_image_goes_from_a_student_to_a_machine(lesson: Class, tmp_path: Path) -> None:
    name = f"{lesson.namespace('anna')}/web:1"
    assert lesson.push("anna", name) == ""
    assert lesson.pull("anna", name) == ""
    with containerd(find_containerd(tmp_path), lesson.room, "w1", peers=False) as machine:
        assert machine.pull(Image(f"{REGISTRY}/{name}", "", 0)) == ""
        assert "not found" in machine.pull(Image(f"{REGISTRY}/{lesson.namespace('anna')}/none:1", "", 0))


def test_nobody_pushes_or_pulls_another_one_s(lesson: Class) -> None:
    name = f"{lesson.namespace('anna')}/own:1"
    assert lesson.push("anna", name) == ""
    assert f"you may not push to {lesson.namespace('anna')}" in lesson.push("jan", name)
    assert f"you may not pull from {lesson.namespace('anna')}" in lesson.pull("jan", name)
    assert "unauthorized" in lesson.pull("jan", name, login=False)
    assert "denied" in lesson.push("jan", "web:1")


@pytest.mark.parametrize("form", ["query", "form", "multipart"])
def test_nobody_takes_a_layer_out_of_another_one_s_image(lesson: Class, form: str) -> None:
    anna, jan = lesson.namespace("anna"), lesson.namespace("jan")
    assert lesson.push("anna", f"{anna}/secret:1", 5000) == ""
    layers = lesson.images / f"docker/registry/v2/repositories/{anna}/secret/_layers/sha256"
    digest = next(path.name for path in layers.iterdir())
    where, words = f"https://{REGISTRY}/v2/{jan}/mine/blobs/uploads/", ["-X", "POST"]
    fields = {"mount": f"sha256:{digest}", "from": f"{anna}/secret"}
    if form == "query":
        where += "?" + "&".join(f"{name}={value}" for name, value in fields.items())
    for name, value in fields.items() if form != "query" else ():
        words += ["--data-urlencode" if form == "form" else "--form-string", f"{name}={value}"]
    ca = str(lesson.room.state.pki / "server-ca.crt")
    login = ["--user", f"jan:{lesson.token('jan')}", "--cacert", ca]
    stranger = f"{lesson.room.name}-stranger"
    status = lesson.room.curl(stranger, *login, "-o", "/dev/null", "-w", "%{http_code}", *words, where)
    # 202: an upload of jan's own was begun, and nothing was taken; 201 would be the layer.
    assert status == ("403" if form == "query" else "202")
    blob = f"https://{REGISTRY}/v2/{jan}/mine/blobs/sha256:{digest}"
    assert lesson.room.curl(stranger, *login, "-o", "/dev/null", "-w", "%{http_code}", blob) == "404"


def test_a_namespace_has_its_share(lesson: Class) -> None:
    space = lesson.namespace("jan")
    assert lesson.push("jan", f"{space}/large:1", 12 << 20) == ""
    lesson.push("jan", f"{space}/large:2", 12 << 20)  # the last one may be over it, or is refused on its way
    assert until(
        lambda: "have taken all of their 16Mi" in lesson.push("jan", f"{space}/large:3"), Deadline(LONG), every=1
    )
    assert lesson.push("jan", f"{space}/huge:1", 17 << 20) != "", "more than one may have at all"
    assert lesson.push("anna", f"{lesson.namespace('anna')}/web:2") == "", "there is room for others"


def test_who_is_suspended_pushes_nothing(lesson: Class) -> None:
    name = f"{lesson.namespace('anna')}/late:1"
    with lesson.plane.client() as client:
        chosen = [one for one in lesson.found.students if "anna" in one.label]
        accounts.set_suspended(client, lesson.found, lesson.plane.lab, chosen, True)
        assert until(lambda: "you may not push" in lesson.push("anna", name), Deadline(LONG), every=1)
        accounts.set_suspended(client, lesson.found, lesson.plane.lab, chosen, False)
        assert until(lambda: not lesson.push("anna", name), Deadline(LONG), every=1)


def test_the_server_starts_again_with_the_images_and_without_garbage(lesson: Class) -> None:
    space = lesson.namespace("anna")
    for _ in range(2):
        assert lesson.push("anna", f"{space}/again:1", 4 << 20) == ""

    assert lesson.large() == 2
    lesson.room.stop()
    lesson.room.start()
    assert lesson.large() == 1, "whose tag has become another's"
    assert lesson.pull("anna", f"{space}/again:1") == ""


class Program(NamedTuple):
    """A client, as the docs have it."""

    package: str
    certificates: str
    """Where the docs put the CA."""
    denied: str
    """What it says without a login."""
    first: str = ""
    """What must run before it."""


CONTAINERS = "/etc/containers/certs.d"
CLIENTS = {
    "podman": Program("podman", CONTAINERS, "unauthorized"),
    "buildah": Program("buildah", CONTAINERS, "unauthorized"),
    "docker": Program("docker.io", "/etc/docker/certs.d", "no basic auth credentials", DOCKERD),
}


@pytest.mark.apart
@pytest.mark.parametrize("client", CLIENTS)
def test_the_docs_lines_by_other_clients(lesson: Class, tmp_path: Path, client: str) -> None:
    program, name = CLIENTS[client], f"{REGISTRY}/{lesson.namespace('anna')}/{client}:1"
    with tempfile.TemporaryDirectory(prefix="nodisk-student-", dir="/dev/shm") as folder:
        anna = computer(f"{lesson.room.name}-stranger", program.package, f"usr/bin/{client}", Path(folder))
        anna.put(f"{program.certificates}/{REGISTRY}/ca.crt", (lesson.room.state.pki / "server-ca.crt").read_text())
        anna.put("/root/token", lesson.token("anna"))
        anna.put("/root/web/Dockerfile", 'FROM scratch\nCOPY page /page\nCMD ["/page"]\n')
        anna.put("/root/web/page", "hello\n")
        said = anna.type(f"""{program.first}
            {client} login -u student --password-stdin {REGISTRY} </root/token
            {client} build -t {name} /root/web
            {client} push {name}
            {client} logout {REGISTRY}
            ! {client} push {name}""")
        assert program.denied in said.splitlines()[-1], said
    with containerd(find_containerd(tmp_path), lesson.room, "w1", peers=False) as machine:
        assert machine.pull(Image(name, "", 0)) == ""


@pytest.mark.apart
def test_a_deleted_image_gives_its_room_back_while_the_server_runs(lesson: Class) -> None:
    space, before = lesson.namespace("anna"), lesson.large()
    for name in ("gone", "kept"):
        assert lesson.push("anna", f"{space}/{name}:1", 4 << 20) == ""
    deleted = lesson.skopeo("anna", "delete", *lesson.login("anna"), f"docker://{REGISTRY}/{space}/gone:1")
    assert deleted.returncode == 0, deleted.stderr
    assert lesson.large() == before + 2
    patience = class_registry_garbage.QUIET + class_registry_garbage.LOOK + LONG
    assert until(lambda: lesson.large() == before + 1, Deadline(patience), every=1)
    assert lesson.pull("anna", f"{space}/kept:1") == ""
    assert lesson.push("anna", f"{space}/gone:1") == ""


def capacity(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_blocks * found.f_frsize


def test_the_kernel_is_the_limit(lesson: Class) -> None:
    """What is full says so, before a push and in the middle of one, and takes nothing of the server's own disk."""
    disk = class_registry.file_system(lesson.room.state).file
    taken, space = disk.stat().st_blocks, lesson.namespace("anna")
    assert taken * 512 >= disk.stat().st_size
    assert lesson.images.is_mount()
    assert 48 << 20 <= capacity(lesson.images) < 64 << 20
    filler = lesson.images / "filler"

    def fill(spare: int) -> None:
        filler.unlink(missing_ok=True)
        left = os.statvfs(lesson.images)
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, left.f_bavail * left.f_frsize - spare)

    fill(4 << 20)
    assert "the registry is full: 48Mi" in lesson.push("anna", f"{space}/toolarge:1", 8 << 20)
    assert lesson.push("anna", f"{space}/small:1") == "", "what the failed push had brought is gone"
    fill(1 << 18)
    assert "the registry is full: 48Mi" in lesson.push("anna", f"{space}/small:2")
    assert lesson.pull("anna", f"{space}/small:1") == "", "it still gives"
    assert disk.stat().st_blocks == taken
    filler.unlink()
    assert lesson.push("anna", f"{space}/small:3") == ""


def test_it_grows_by_a_reload_and_never_shrinks(lesson: Class) -> None:
    name = f"{lesson.namespace('anna')}/kept:1"
    assert lesson.push("anna", name) == ""
    assert not [line for line in lesson.reload(size="96MiB") if "class registry" in line]
    assert capacity(lesson.images) >= 96 << 20
    assert lesson.pull("anna", name) == ""
    said = lesson.reload(size="48MiB")
    assert "class registry: it has 96Mi and can't shrink to 48Mi: it stays as it is" in said
    assert capacity(lesson.images) >= 96 << 20
    assert lesson.pull("anna", name) == ""
    findings = json.loads(lesson.room.nodisk("check", "--output", "json", check=False).stdout)["findings"]
    assert ["can't shrink" in one["message"] for one in findings if one["check"] == "registry"] == [True]
    disk = class_registry.file_system(lesson.room.state).file
    assert disk.stat().st_blocks * 512 >= disk.stat().st_size, "all of it is reserved"
    lesson.reload(size="96MiB")


def test_a_killed_server_starts_again_with_the_images(lesson: Class) -> None:
    name = f"{lesson.namespace('anna')}/killed:1"
    assert lesson.push("anna", name) == ""
    assert lesson.room.server is not None
    lesson.room.server.kill()
    lesson.room.server.wait()
    lesson.room.await_none()
    lesson.room.start()
    assert lesson.images.is_mount()
    assert lesson.pull("anna", name) == ""


def test_other_requests(lesson: Class) -> None:
    base, ca = f"https://{REGISTRY}", str(lesson.room.state.pki / "server-ca.crt")

    def ask(*words: str) -> str:
        quiet = ["--cacert", ca, "-o", "/dev/null", "-w", "%{http_code}", "--path-as-is"]
        return lesson.room.curl(f"{lesson.room.name}-stranger", *quiet, *words)

    space = lesson.namespace("anna")
    assert ask(f"{base}/v2/") == "401"
    assert ask(f"{base}/v2/_catalog") == "403"
    assert ask(f"{base}/asked") == "404"
    assert ask(f"{base}/") == "404"
    assert ask(f"{base}/v2/{space}/../{space}/web/manifests/1") == "403"
    assert ask("-X", "PUT", f"{base}/v2/{space}/web/manifests/1") == "401"
    answer = lesson.room.curl(f"{lesson.room.name}-stranger", "--cacert", ca, "-i", f"{base}/v2/")
    assert 'WWW-Authenticate: Basic realm="nodisk"' in answer
    assert json.loads(answer.splitlines()[-1])["errors"][0]["code"] == "UNAUTHORIZED"
    machine = lesson.room.curl(f"{lesson.room.name}-w1", "--cacert", ca, f"{base}/v2/{space}/none/manifests/1")
    assert "MANIFEST_UNKNOWN" in machine
    assert run.run(["ss", "-Hlnt", f"sport = :{ports.CLASS_REGISTRY}"], netns=lesson.room.name).stdout
