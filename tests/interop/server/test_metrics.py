"""The port for API servers behind the real nginx: who is let in, and by which certificate."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from tests.interop.server.rooms import Room

from nodisk import run
from nodisk.pki import certs
from nodisk.pki.profiles import METRICS_HOST, Ca

pytestmark = pytest.mark.interop

SERVER, PORT = "10.99.0.1", 6446
BASE = f"https://{METRICS_HOST}:{PORT}/apis/metrics.k8s.io/v1beta1"


def identity(room: Room, folder: Path, name: str, ca: Ca) -> list[str]:
    """curl's words for a new client certificate."""
    pki, key = room.state.pki, certs.new_key()
    signer = certs.Signer(
        x509.load_pem_x509_certificate((pki / f"{ca}.crt").read_bytes()),
        certs.load_key((pki / f"{ca}.key").read_bytes()),
    )
    made = certs.issue(
        signer, certs.subject(name), key.public_key(), usages=(certs.CLIENT,), lifetime=timedelta(hours=1)
    )
    (folder / f"{name}.crt").write_bytes(certs.pem(made))
    (folder / f"{name}.key").write_bytes(certs.key_pem(key))
    return ["--cert", str(folder / f"{name}.crt"), "--key", str(folder / f"{name}.key")]


def ask(room: Room, *words: str, path: str = "/nodes", base: str = BASE) -> tuple[int, str]:
    argv: list[str | Path] = ["curl", "-sS", "--max-time", "60", "--cacert", room.state.pki / "server-ca.crt", *words]
    argv += ["--resolve", f"{METRICS_HOST}:{PORT}:{SERVER}", "-w", "\n%{http_code}", f"{base}{path}"]
    text, _, status = run.run(argv, netns=f"{room.name}-w1").stdout.rpartition("\n")
    return int(status), text


def test_an_api_server_is_answered(room: Room, tmp_path: Path) -> None:
    words = [*identity(room, tmp_path, "front-proxy-client", Ca.FRONT_PROXY), "-H", "X-Remote-User: anna"]
    status, text = ask(room, *words)
    # No machine of this room runs a kubelet.
    assert (status, json.loads(text)["items"]) == (200, [])
    assert ask(room, *words, path="")[0] == 200
    assert ask(room, *words, base=f"https://{METRICS_HOST}:{PORT}", path="/boot.ipxe")[0] == 404


def test_others_are_not(room: Room, tmp_path: Path) -> None:
    forged = ["-H", "Nodisk-Client-Subject: CN=front-proxy-client", "-H", "X-Remote-User: kubernetes-admin"]
    assert ask(room, *forged)[0] == 400  # nginx: no certificate
    assert ask(room, *forged, *identity(room, tmp_path, "front-proxy-client", Ca.CLUSTER))[0] == 400
    assert ask(room, *forged, *identity(room, tmp_path, "somebody", Ca.FRONT_PROXY))[0] == 403
    assert ask(room, *identity(room, tmp_path, "front-proxy-client", Ca.FRONT_PROXY))[0] == 401
    # The application listens for all of nginx, which lets nobody through by another port.
    assert ask(room, *forged, base=f"http://{SERVER}/apis/metrics.k8s.io/v1beta1")[0] == 404
    assert ask(room, *forged, "-k", base=f"https://{SERVER}:6444/apis/metrics.k8s.io/v1beta1")[0] == 404
