"""Checks of the host, each with what it would see."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner
from tests.unit.spec.labs import KEY, TEN_LINES, lab

from nodisk.check import host, tools, wire
from nodisk.check.findings import Finding, Level, worst
from nodisk.check.runner import NAMES
from nodisk.commands.check import check
from nodisk.spec.load import parse
from nodisk.spec.model_kubernetes import Engine, Kubernetes
from nodisk.state import State

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("off", "level"), [(0, Level.OK), (29, Level.OK), (-31, Level.WARNING), (299, Level.WARNING), (-300, Level.ERROR)]
)
def test_clock(off: int, level: Level) -> None:
    found = host.judge_clock(NOW + timedelta(seconds=off), NOW)
    assert worst(found) is level
    if level is not Level.OK:
        assert ("behind" if off < 0 else "ahead of") in found[0].message


def test_clock_alone() -> None:
    assert worst(host.judge_clock(NOW, None)) is Level.OK
    assert worst(host.judge_clock(datetime(1970, 1, 1, tzinfo=UTC), None)) is Level.ERROR


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("Dnsmasq version 2.90  Copyright", (2, 90)),
        ("nginx version: nginx/1.22.1", (1, 22, 1)),
        ("etcd Version: 3.4.23\nGit SHA: 1a2b", (3, 4, 23)),
        ("docker-registry github.com/docker/distribution 2.8.2+ds1", (2, 8, 2)),
        ("QEMU emulator version 7.2.15 (Debian 1:7.2+dfsg-7)", (7, 2, 15)),
        ("mksquashfs version 4.5.1 (2022/03/17)", (4, 5, 1)),
        ("chronyd (chrony) version 4.3 (+CMDMON)", (4, 3)),
        ("no version", None),
    ],
)
def test_versions_of_programs(text: str, version: tuple[int, ...] | None) -> None:
    assert tools.version_in(text) == version


def test_missing_programs_are_one_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("nodisk.run.SEARCH_PATH", str(tmp_path))  # a host with nothing
    (tmp_path / "dnsmasq").write_text("#!/bin/sh\necho Dnsmasq version 2.76\n")
    (tmp_path / "dnsmasq").chmod(0o755)
    made = parse(TEN_LINES, file="x")
    missing, old = tools.tools(made, virtual=False)
    assert "etcd (" in missing.message
    plain = made.model_copy(update={"kubernetes": Kubernetes(engine=Engine.NONE)})
    assert "etcd (" not in tools.tools(plain, virtual=False)[0].message
    assert missing.level is Level.ERROR
    assert "nginx (files, balancing the API)" in missing.message
    assert "dnsmasq" not in missing.message
    assert "qemu" not in missing.message
    assert "install" in missing.hint
    assert (old.level, old.message.split(" is")[0]) == (Level.WARNING, "dnsmasq 2.76")


def test_outside_a_checkout_no_service_gets_the_labs_ports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tools, "__file__", str(tmp_path / "lib/python/site-packages/nodisk/check/tools.py"))
    assert tools.install(["skopeo", "nginx", "etcd-server", "chrony"]) == (
        "systemctl mask etcd.service nginx.service && "
        "apt-get install --no-install-recommends chrony etcd-server nginx skopeo"
    )
    assert tools.install(["skopeo"]) == "apt-get install --no-install-recommends skopeo"


def test_every_tool_is_in_the_list_that_is_installed() -> None:
    listed = {
        line.split()[0] for line in (Path(__file__).parents[3] / "tools/packages.txt").read_text().splitlines() if line
    }
    assert {tool.package for tool in tools.TOOLS} - listed <= {"chrony"}  # whose program alone the script installs


def test_memory_of_the_host() -> None:
    read = parse(lab(machine="memory: 2GiB"), file="x")  # and a worker of 1 GiB
    levels = {mib: worst(host.memory(read, f"MemAvailable: {mib * 1024} kB\n")) for mib in (3000, 3500, 8000)}
    assert levels == {3000: Level.ERROR, 3500: Level.WARNING, 8000: Level.OK}


def test_keys() -> None:
    assert worst(host.ssh_keys(parse(lab(), file="x"), virtual=False)) is Level.WARNING
    assert worst(host.ssh_keys(parse(lab(), file="x"), virtual=True)) is Level.OK
    assert worst(host.ssh_keys(parse(lab(top=f"ssh_keys: ['{KEY}']"), file="x"), virtual=False)) is Level.OK


class _Mirror(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response_only(200 if self.path == "/debian/dists/trixie/InRelease" else 404)
        self.send_header("Date", "Mon, 23 Nov 2015 12:00:00 GMT")
        self.end_headers()


def _ask(tmp_path: Path, mirror: str) -> dict[str, Finding]:
    read = parse(lab(top=f"os: {{mirror: '{mirror}'}}"), file="x")
    return {finding.check: finding for finding in host.clock_and_mirror(State(tmp_path), read)}


def test_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Mirror) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        at = f"127.0.0.1:{server.server_port}"
        found = _ask(tmp_path, f"http://user:secret@{at}/debian")
        assert found["mirror"].level is Level.OK
        assert "secret" not in found["mirror"].message
        assert found["clock"].level is Level.ERROR  # years ahead of that mirror
        assert "answers 404" in _ask(tmp_path, f"http://{at}/ubuntu")["mirror"].message
        server.shutdown()
    found = _ask(tmp_path, f"http://{at}/debian")
    assert (found["mirror"].level, found["clock"].level) == (Level.ERROR, Level.OK)
    assert found["mirror"].hint == "check the network and os.mirror in lab.yaml"
    assert _ask(tmp_path, f"file://{tmp_path}")["mirror"].level is Level.ERROR


def test_the_command_on_a_virtual_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that needs no wire, here and now: which levels depends on this host, the shape doesn't."""
    file = tmp_path / "lab.yaml"
    file.write_text(TEN_LINES + f"os: {{mirror: 'file://{tmp_path}'}}\n")
    monkeypatch.setenv("NODISK_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("NODISK_UPSTREAM_KUBERNETES", "http://127.0.0.1:1")
    done = CliRunner().invoke(check, ["--lab", str(file), "--virtual", "-o", "json"], standalone_mode=False)
    answer = json.loads(done.stdout)
    assert list(answer) == ["lab", "virtual", "worst", "findings", "budget"]
    assert done.return_value == 4  # that mirror has no Debian
    names = [finding["check"] for finding in answer["findings"]]
    # This lab has no timetable, peers or class registry, so nothing is said of those; nor of machines that are off.
    unsaid = (*wire.CHECKS, "timetable", "peers", "registry", "config")
    assert list(dict.fromkeys(names)) == [name for name in NAMES if name not in unsaid]
    assert set(wire.CHECKS) < set(NAMES)
    assert [one["machine"] for one in answer["budget"]] == ["cp1", "w1"]
    assert set(answer["budget"][0]["rows"][0]) == {"kind", "used", "cap"}
    table = CliRunner().invoke(check, ["--lab", str(file), "--virtual"], standalone_mode=False)
    assert "as a virtual lab" in table.stdout
    assert "RAM budget" in table.stdout
    assert not (tmp_path / "state").exists()
