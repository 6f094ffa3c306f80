"""The default addresses over TLS: a school's own authority, proxies, redirects, busy servers, cut lines, portals."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.interop.assets.internet import AUTHORITY, PROXY_URL, Internet
from tests.interop.assets.official_servers import STORAGE
from tests.interop.assets.publisher import COREDNS, ETCD, PAUSE, VERSION, etcd_tarball, image, registry, server_tarball

pytestmark = pytest.mark.interop

TARBALL = f"v{VERSION}/kubernetes-server-linux-amd64.tar.gz"
LAB = f"""\
name: school
network: {{subnet: 10.77.0.0/24, server: 10.77.0.1}}
kubernetes: {{source: upstream, version: {VERSION}}}
machines: [{{name: c1, mac: "52:54:00:00:00:01", address: 10.77.0.11, role: control-plane}}]
"""


@pytest.fixture(scope="module")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    folder = tmp_path_factory.mktemp("internet")
    (folder / "lab.yaml").write_text(LAB)
    with registry(folder) as address:
        for wanted in (PAUSE, COREDNS):
            source = f"docker-archive:{image(folder, wanted)}"
            target = f"docker://{address}/{wanted.partition('/')[2]}"
            subprocess.run(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", source, target], check=True)
        with Internet(folder, f"nd-inet-{os.getpid()}", address) as net:
            fill(net, server_tarball(folder), etcd_tarball())
            yield net


@pytest.fixture(autouse=True)
def plain(internet: Internet) -> None:
    internet.believed = True
    internet.hosts = dict.fromkeys(internet.hosts, "127.0.0.1")
    internet.asked()


def fill(net: Internet, tarball: bytes, etcd: bytes) -> None:
    for host in ("dl.k8s.io", "cdn.dl.k8s.io"):
        net.publish(host, TARBALL, tarball)
        net.publish(host, TARBALL + ".sha512", hashlib.sha512(tarball).hexdigest())
    net.publish("dl.k8s.io", "release/stable-1.36.txt", f"v{VERSION}\n")
    name = f"etcd-{ETCD}-linux-amd64.tar.gz"
    folder = f"etcd-io/etcd/releases/download/{ETCD}"
    for host in ("github.com", "objects.githubusercontent.com"):
        net.publish(host, f"{folder}/{name}", etcd)
        net.publish(host, f"{folder}/SHA256SUMS", f"{hashlib.sha256(etcd).hexdigest()}  {name}\n")


def build(net: Internet, state: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    words = ("build", "--only", "release", "--lab", net.folder / "lab.yaml", "--state", state)
    return net.nodisk(*words, "--output", "json", **environment)


def succeed(net: Internet, state: Path, **environment: str) -> list[str]:
    """Build, and see what the servers were asked for."""
    done = build(net, state, **environment)
    assert done.returncode == 0, done.stderr
    (made,) = json.loads(done.stdout)["assets"]
    assert made["version"] == VERSION
    return net.asked()


def test_a_school_that_inspects_tls_builds_with_its_authority_in_the_systems_store(
    internet: Internet, tmp_path: Path
) -> None:
    asked = succeed(internet, tmp_path / "state")
    assert f"cdn.dl.k8s.io /{TARBALL}" in asked
    assert any(line.startswith("objects.githubusercontent.com /etcd-io") for line in asked)
    assert any(line.startswith(f"{STORAGE} /v2/pause/manifests/") for line in asked)
    assert any(line.startswith("registry.k8s.io /v2/coredns/coredns/manifests/") for line in asked)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_a_variable_with_the_authority_is_enough_for_every_part(
    internet: Internet, tmp_path: Path, variable: str
) -> None:
    internet.believed = False
    own = tmp_path / "own"
    own.mkdir()
    (own / "school.crt").write_bytes(internet.authority.read_bytes())
    value = own if variable == "SSL_CERT_DIR" else own / "school.crt"
    succeed(internet, tmp_path / "state", **{variable: str(value)})


def test_an_authority_that_is_not_believed_is_named_with_where_to_put_it(internet: Internet, tmp_path: Path) -> None:
    internet.believed = False
    started = time.monotonic()
    done = build(internet, tmp_path / "state")
    assert time.monotonic() - started < 60
    assert done.returncode == 4
    assert "the certificate of dl.k8s.io is not trusted" in done.stderr
    assert AUTHORITY in done.stderr
    assert "update-ca-certificates" in done.stderr
    done = build(internet, tmp_path / "state", SSL_CERT_FILE="/nowhere.pem")
    assert "$SSL_CERT_FILE names /nowhere.pem, which doesn't exist" in done.stderr
    assert "Traceback" not in done.stderr


def test_skopeo_says_the_same_of_the_registry(internet: Internet, tmp_path: Path) -> None:
    internet.believed = False
    name = "registry.k8s.io/pause:3.10.1"
    code = (
        "import asyncio, pathlib, sys; from nodisk.assets import pull, progress; from nodisk.assets.work import Work; "
        "from nodisk.values import ImageRef; from nodisk.assets.store import Store; from nodisk.state import State; "
        f"s = State(pathlib.Path(sys.argv[1])); image = ImageRef.parse({name!r}); "
        "asyncio.run(pull.pull(Work(s, Store(s), progress.Board(None)), image, s.root / 'x.tar'))"
    )
    done = internet.run([sys.executable, "-c", code, tmp_path])
    assert "x509: certificate signed by unknown authority" in done.stderr


def test_cut_lines_and_busy_servers_are_waited_out(internet: Internet, tmp_path: Path) -> None:
    for spoiled in (
        f"cdn.dl.k8s.io/{TARBALL}.cut",
        f"dl.k8s.io/{TARBALL}.sha512.busy",
        f"github.com/etcd-io/etcd/releases/download/{ETCD}/SHA256SUMS.busy",
    ):
        (internet.root / spoiled).touch()
    busy = internet.publish(STORAGE, f"v2/pause/manifests/{PAUSE.rpartition(':')[2]}.busy", "")
    asked = succeed(internet, tmp_path / "state")
    assert asked.count(f"cdn.dl.k8s.io /{TARBALL}") == 2
    assert not busy.exists()
    assert not list(internet.root.rglob("*.cut"))


def test_a_portal_is_named_and_costs_nothing_that_was_loaded(internet: Internet, tmp_path: Path) -> None:
    state = tmp_path / "state"
    (internet.root / f"dl.k8s.io/{TARBALL}.portal").touch()
    part = state / "cache/downloads" / f"v{VERSION}-kubernetes-server-linux-amd64.tar.gz.part"
    part.parent.mkdir(parents=True)
    begun = (internet.root / f"dl.k8s.io/{TARBALL}").read_bytes()[:500]
    part.write_bytes(begun)
    done = build(internet, state)
    assert done.returncode == 7, done.stderr
    assert "a web page came instead of the file (from https://portal.example/login)" in done.stderr
    assert part.read_bytes() == begun
    succeed(internet, state)


def test_where_only_a_proxy_leads_out_everything_goes_by_it(internet: Internet, tmp_path: Path) -> None:
    near = ("dl.k8s.io", "cdn.dl.k8s.io")
    internet.hosts = {host: "127.0.0.1" if host in near else "192.0.2.1" for host in internet.hosts}
    asked = succeed(internet, tmp_path / "state", HTTPS_PROXY=PROXY_URL, NO_PROXY="dl.k8s.io,example.org")
    by_proxy = {line.split()[1].partition(":")[0] for line in asked if line.startswith("CONNECT")}
    assert by_proxy >= {"github.com", "objects.githubusercontent.com", "registry.k8s.io", STORAGE}
    assert not by_proxy & set(near)
