"""Enrolment end to end, as a machine does it: openssl makes keys and CSRs, curl sends them."""

from __future__ import annotations

import io
import re
import tarfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from tests.interop.server.rooms import STRANGER, Room
from tests.support.records import sql
from tests.support.waits import LONG

from nodisk import run
from nodisk.pki import profiles
from nodisk.records.events import Kind
from nodisk.values import Mac

pytestmark = pytest.mark.interop

SERVER = "10.99.0.1"


@dataclass
class Client:
    """A machine that enrols, as the scripts in the node image do."""

    room: Room
    name: str
    folder: Path
    """Of this boot."""
    csrs: dict[str, str] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        return f"{self.room.name}-{self.name}"

    @property
    def mac(self) -> Mac:
        return self.room.machine(self.name).mac

    def boot(self) -> str | None:
        """Fetch the script; the nonce on its command line."""
        script = self.room.curl(self.namespace, f"http://{SERVER}/boot/{self.mac.hyphened}.ipxe")
        match = re.search(r"nodisk\.nonce=(\S+)", script)
        return match and match.group(1)

    def request(self, profile: str, subject: str, sans: str = "", *, key: str = "ec") -> str:
        kind = {
            "ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
            "rsa1024": ["rsa:1024"],
            "ed25519": ["ed25519"],
        }[key]
        extra = ["-addext", f"subjectAltName={sans}"] if sans else []
        argv = ["openssl", "req", "-new", "-newkey", *kind, "-noenc", "-subj", subject, *extra]
        return run.run([*argv, "-keyout", self.folder / f"{profile}.key"]).stdout

    def requests(self) -> dict[str, str]:
        """Every CSR that this machine's role may have, right in every letter."""
        lab, machine = self.room.lab, self.room.machine(self.name)
        made = {}
        for profile in profiles.allowed(machine.role):
            organization = f"/O={profile.organization}" if profile.organization else ""
            found = profiles.sans(profile, lab, machine)
            sans = ",".join([*(f"DNS:{n}" for n in found.names), *(f"IP:{a}" for a in found.addresses)])
            subject = f"{organization}/CN={profile.common_name.format(name=machine.name)}"
            made[profile.name] = self.request(profile.name, subject, sans)
        return made

    def enrol(
        self, nonce: str | None, csrs: dict[str, str], *, namespace: str | None = None, mac: Mac | None = None
    ) -> tuple[int, bytes]:
        """Status and body of the answer."""
        body = self.folder / "body"
        keys = "ssh-host-key: ssh-ed25519 " + "A" * 68 + "\n"
        body.write_text(keys + "".join(f"profile: {name}\n{pem}" for name, pem in csrs.items()))
        answer = self.folder / "answer"
        answer.unlink(missing_ok=True)
        status = self.room.curl(
            namespace or self.namespace,
            *("--cacert", str(self.room.state.pki / "server-ca.crt")),
            *("-H", f"Nodisk-Nonce: {nonce}", "-H", f"Nodisk-Mac: {(mac or self.mac).hyphened}"),
            *("-H", "Content-Type: text/plain", "--data-binary", f"@{body}"),
            *("-o", str(answer), "-w", "%{http_code}", f"https://{SERVER}:6444/enrol"),
        )
        return int(status), answer.read_bytes() if answer.exists() else b""


@pytest.fixture
def w1(room: Room, tmp_path: Path) -> Client:
    room.nodisk("arm", "--for", "10m")
    return Client(room, "w1", tmp_path)


@pytest.fixture
def cp1(room: Room, tmp_path: Path) -> Client:
    room.nodisk("arm", "--for", "10m")
    return Client(room, "cp1", tmp_path)


def unpack(body: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def alarms(room: Room) -> list[str]:
    with room.database() as database:
        return [event.detail for event in database.events(kinds=(Kind.ALARM,))]


def refused(room: Room, answer: tuple[int, bytes], reason: str, *, final: bool = True) -> None:
    """403 (or 410: boot again), the reason in one line, and an alarm that says it."""
    status, body = answer
    assert (status, reason in body.decode()) == (403 if final else 410, True), body
    assert body.decode().count("\n") == 1
    assert reason in alarms(room)[-1]


def test_a_worker_gets_its_certificates_and_no_secret(w1: Client, room: Room) -> None:
    status, body = w1.enrol(w1.boot(), w1.requests())
    assert status == 200, body
    files = unpack(body)
    assert set(files) == {"ca.crt", "kubelet-client.crt", "kubelet-server.crt", "kube-proxy.crt"}
    for name in ("kubelet-client", "kubelet-server", "kube-proxy"):
        (w1.folder / f"{name}.crt").write_bytes(files[f"{name}.crt"])
        key = serialization.load_pem_private_key((w1.folder / f"{name}.key").read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(files[f"{name}.crt"])
        assert certificate.public_key() == key.public_key()
    (w1.folder / "ca.crt").write_bytes(files["ca.crt"])
    verify: list[str | Path] = ["openssl", "verify", "-x509_strict", "-CAfile", w1.folder / "ca.crt"]
    run.run([*verify, "-purpose", "sslclient", w1.folder / "kubelet-client.crt"])
    run.run([*verify, "-purpose", "sslserver", "-verify_ip", "10.99.0.21", w1.folder / "kubelet-server.crt"])
    with room.database() as database:
        assert database.host_keys(w1.mac) == ("ssh-ed25519 " + "A" * 68,)
        found = database.enrolment(w1.mac)
        assert found is not None
        assert 13 * 86400 < found.expires - time.time() < 15 * 86400


def test_a_control_plane_machine_reaches_etcd_with_what_it_gets(cp1: Client, room: Room) -> None:
    status, body = cp1.enrol(cp1.boot(), cp1.requests())
    assert status == 200, body
    files = unpack(body)
    assert {"ca.crt", "etcd-ca.crt", "front-proxy-ca.crt", "sa.key", "sa.pub"} < set(files)
    for name, content in files.items():
        (cp1.folder / name).write_bytes(content)

    def etcd(*words: str | Path) -> str:
        argv = ["curl", "-sS", "--max-time", f"{LONG:g}", "--cacert", cp1.folder / "etcd-ca.crt", *words]
        done = run.run([*argv, f"https://{SERVER}:2379/health"], netns=cp1.namespace, check=False)
        return done.stdout

    own = ("--cert", cp1.folder / "apiserver-etcd-client.crt", "--key", cp1.folder / "apiserver-etcd-client.key")
    assert '"health":"true"' in etcd(*own)
    assert "health" not in etcd()
    other = (
        "--cert",
        cp1.folder / "apiserver-kubelet-client.crt",
        "--key",
        cp1.folder / "apiserver-kubelet-client.key",
    )
    assert "health" not in etcd(*other)


def test_a_nonce_counts_once(w1: Client, room: Room) -> None:
    nonce = w1.boot()
    assert w1.enrol(nonce, w1.requests())[0] == 200
    refused(room, w1.enrol(nonce, w1.requests()), "used before")


def public_keys(body: bytes) -> dict[str, bytes]:
    """The key of each certificate that the machine asked for."""
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return {
        name: x509.load_pem_x509_certificate(content).public_key().public_bytes(*form)
        for name, content in unpack(body).items()
        if name.endswith(".crt") and not name.endswith("ca.crt")
    }


def test_the_same_request_is_answered_again(cp1: Client, room: Room) -> None:
    """Its first answer may have been lost. All else is still a second use, also after it."""
    nonce, csrs, before = cp1.boot(), cp1.requests(), len(alarms(room))
    first, again = cp1.enrol(nonce, csrs), cp1.enrol(nonce, csrs)
    assert (first[0], again[0]) == (200, 200), again
    assert public_keys(first[1]) == public_keys(again[1])
    assert unpack(first[1]).keys() == unpack(again[1]).keys()
    assert unpack(first[1])["sa.key"] == unpack(again[1])["sa.key"]
    assert len(alarms(room)) == before
    with room.database() as database:
        assert "again: the answer before was lost" in database.events(kinds=(Kind.NODE,))[-1].detail
    refused(room, cp1.enrol(nonce, csrs, namespace=f"{room.name}-stranger"), "another address")
    other = csrs | {"admin": cp1.request("admin", "/O=system:masters/CN=kubernetes-admin")}
    refused(room, cp1.enrol(nonce, other), "used before")
    refused(room, cp1.enrol(nonce, dict(reversed(csrs.items()))), "used before")
    assert cp1.enrol(nonce, csrs)[0] == 200


def test_an_answer_that_a_killed_server_owes(w1: Client, room: Room) -> None:
    nonce, csrs = w1.boot(), w1.requests()
    assert w1.enrol(nonce, csrs)[0] == 200
    assert room.server
    room.server.kill()
    room.server.wait()
    room.await_none()
    room.start()
    assert w1.enrol(nonce, csrs)[0] == 200


def test_a_repeated_request_ends_with_its_nonce(w1: Client, room: Room) -> None:
    nonce, csrs = w1.boot(), w1.requests()
    assert w1.enrol(nonce, csrs)[0] == 200
    sql(room.state.database, "UPDATE nonce SET minted = minted - 901 WHERE used IS NOT NULL")  # time passes
    refused(room, w1.enrol(nonce, csrs), "older than 15 minutes", final=False)
    nonce = w1.boot()
    assert w1.enrol(nonce, csrs)[0] == 200
    w1.boot()
    refused(room, w1.enrol(nonce, csrs), "newer script", final=False)


def test_two_who_use_a_nonce_at_once(w1: Client, tmp_path: Path) -> None:
    nonce = w1.boot()
    words: list[str] = []
    for name in ("one", "other"):
        body = tmp_path / name
        body.write_text("".join(f"profile: {profile}\n{pem}" for profile, pem in w1.requests().items()))
        words += ["--next"] if words else []
        words += ["-sS", "-k", "--max-time", f"{LONG:g}", "-o", "/dev/null", "-w", "%{http_code} "]
        words += ["-H", f"Nodisk-Nonce: {nonce}", "-H", f"Nodisk-Mac: {w1.mac.hyphened}", "--data-binary", f"@{body}"]
        words += [f"https://{SERVER}:6444/enrol"]
    statuses = w1.room.curl(w1.namespace, "--parallel", "--parallel-immediate", *words)
    assert sorted(statuses.split()) == ["200", "403"]


def test_another_address(w1: Client, room: Room) -> None:
    nonce, csrs = w1.boot(), w1.requests()
    refused(room, w1.enrol(nonce, csrs, namespace=f"{room.name}-stranger"), "another address")
    assert w1.enrol(nonce, csrs)[0] == 200, "the theft that failed must not harm the machine"


def test_another_machine(w1: Client, cp1: Client, room: Room) -> None:
    refused(room, cp1.enrol(w1.boot(), cp1.requests()), "another machine")


def test_a_mac_that_lab_yaml_does_not_know(w1: Client, room: Room) -> None:
    nonce = w1.boot()
    refused(room, w1.enrol(nonce, w1.requests(), mac=Mac.parse(STRANGER[0])), "no machine of this MAC")


def test_an_older_boots_nonce(w1: Client, room: Room) -> None:
    old = w1.boot()
    new, csrs = w1.boot(), w1.requests()
    refused(room, w1.enrol(old, csrs), "newer script", final=False)
    assert w1.enrol(new, csrs)[0] == 200


def test_invented_and_malformed_nonces(w1: Client, room: Room) -> None:
    csrs = w1.requests()
    for nonce in ("0" * 32, "", "x" * 5000, "%00", "ż"):
        refused(room, w1.enrol(nonce, csrs), "never given out")


def test_late(w1: Client, room: Room) -> None:
    nonce, csrs = w1.boot(), w1.requests()
    sql(room.state.database, "UPDATE nonce SET minted = minted - 901 WHERE used IS NULL")  # time passes
    refused(room, w1.enrol(nonce, csrs), "older than 15 minutes", final=False)


def test_disarmed(w1: Client, room: Room) -> None:
    nonce, csrs = w1.boot(), w1.requests()
    room.nodisk("disarm")
    refused(room, w1.enrol(nonce, csrs), "not armed")
    assert w1.boot() is None
    room.nodisk("arm")
    refused(room, w1.enrol(nonce, csrs), "disarmed", final=False)


def test_a_strangers_look_at_a_script_harms_nobody(w1: Client, room: Room) -> None:
    nonce, csrs = w1.boot(), w1.requests()
    script = room.curl(f"{room.name}-stranger", f"http://{SERVER}/boot/{w1.mac.hyphened}.ipxe")
    assert "nodisk.nonce" not in script
    assert "asks for the boot script of w1" in alarms(room)[-1]
    assert w1.enrol(nonce, csrs)[0] == 200


@pytest.mark.parametrize(
    "case",
    [
        ("kubelet-client", "/O=system:nodes/CN=system:node:cp1", "", "ec", "the subject must be"),
        ("kubelet-client", "/O=system:masters/CN=system:node:w1", "", "ec", "the subject must be"),
        ("kubelet-client", "/O=system:nodes/O=system:masters/CN=system:node:w1", "", "ec", "the subject must be"),
        ("kubelet-client", "/O=system:nodes/CN=system:node:w1", "DNS:w1", "ec", "the alternative names must be none"),
        ("kubelet-server", "/O=system:nodes/CN=system:node:w1", "DNS:w1", "ec", "the alternative names must be"),
        (
            *("kubelet-server", "/O=system:nodes/CN=system:node:w1"),
            *("DNS:w1,IP:10.99.0.21,IP:10.99.0.1", "ec", "the alternative names must be"),
        ),
        (
            *("kubelet-server", "/O=system:nodes/CN=system:node:w1"),
            *("DNS:w1,IP:10.99.0.21,URI:spiffe://x", "ec", "neither a host name nor"),
        ),
        ("kube-proxy", "/CN=system:kube-proxy", "", "rsa1024", "the key must be"),
        ("kube-proxy", "/CN=system:kube-proxy", "", "ed25519", "the key must be"),
        ("admin", "/O=system:masters/CN=kubernetes-admin", "", "ec", "a worker may not have this"),
        ("apiserver-etcd-client", "/CN=kube-apiserver-etcd-client", "", "ec", "a worker may not have this"),
    ],
)
def test_a_wrong_csr(w1: Client, room: Room, case: tuple[str, str, str, str, str]) -> None:
    profile, subject, sans, key, reason = case
    csrs = w1.requests() | {profile: w1.request(profile, subject, sans, key=key)}
    refused(room, w1.enrol(w1.boot(), csrs), reason)


def test_bodies_that_are_no_enrolment(w1: Client, room: Room) -> None:
    for csrs, reason in (
        ({}, "no profile"),
        ({"root": "x"}, "not known here"),
        ({"kube-proxy": "not a request\n"}, "not a certificate request"),
        (
            {"kube-proxy": "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"},
            "not a cert",
        ),
        ({"kube-proxy": "A" * 9000}, "longer than"),
    ):
        refused(room, w1.enrol(w1.boot(), csrs), reason)
    assert w1.enrol(w1.boot(), {"kube-proxy": "A" * 200_000})[0] == 413


def test_enrolment_is_only_on_its_own_port(w1: Client, room: Room) -> None:
    for url in (f"http://{SERVER}/enrol", f"http://{SERVER}/healthz", f"https://{SERVER}:6444/boot.ipxe"):
        method = ["-X", "POST"] if url.endswith("enrol") else []
        assert room.curl(w1.namespace, "-k", *method, "-o", "/dev/null", "-w", "%{http_code}", url) == "404"


def test_no_key_leaves_the_pki_folder(room: Room) -> None:
    assert room.state.pki.stat().st_mode & 0o777 == 0o700
    for path in room.state.pki.rglob("*.key"):
        assert path.stat().st_mode & 0o777 == 0o600
    assert room.state.admin_kubeconfig.stat().st_mode & 0o777 == 0o600
    assert room.state.database.stat().st_mode & 0o777 == 0o600
    secret = (room.state.pki / "sa.key").read_text().splitlines()[1]
    for folder in (room.state.conf, room.state.log, room.state.www):
        for path in folder.rglob("*"):
            assert not path.is_file() or secret not in path.read_text(errors="replace"), path
