"""The authorities on disk: made once, whole after any interruption, renewed in time, rotated in one step."""

from __future__ import annotations

import os
import shutil
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from nodisk import files
from nodisk.errors import IntegrityError
from nodisk.pki.authority import Authority
from nodisk.spec.load import parse
from nodisk.state import LabState, State
from nodisk.values import Role

LAB = parse(
    """
name: demo
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
machines:
  - {name: cp1, mac: 52:54:00:00:00:11, address: 10.77.0.11, role: control-plane}
""",
    file=Path("lab.yaml"),
)
NOW = datetime(2026, 10, 1, tzinfo=UTC)


@pytest.fixture
def state(tmp_path: Path) -> LabState:
    return State(tmp_path).lab("demo")


@pytest.fixture
def authority(state: LabState) -> Authority:
    made = Authority(state, LAB)
    made.ensure(now=NOW)
    return made


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_everything_is_made_and_private(authority: Authority, state: LabState) -> None:
    names = {item.name: item.kind for item in authority.items()}
    assert names == {
        **dict.fromkeys(("ca", "etcd-ca", "front-proxy-ca", "server-ca"), "authority"),
        **dict.fromkeys(("server", "etcd-server", "etcd-probe", "admin", "metrics", "metrics-client"), "certificate"),
        "sa": "key",
    }
    assert stat.S_IMODE(state.pki.stat().st_mode) == 0o700
    for path in state.pki.iterdir():
        wanted = 0o600 if path.suffix in {".key", ".kubeconfig"} else 0o644
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_a_second_time_changes_nothing(authority: Authority, state: LabState) -> None:
    before = content(state.pki)
    assert Authority(state, LAB).ensure(now=NOW) is False
    assert content(state.pki) == before


def test_the_kubeconfig(authority: Authority, state: LabState) -> None:
    config = yaml.safe_load(state.admin_kubeconfig.read_text())
    assert config["clusters"][0]["cluster"]["server"] == "https://10.77.0.1:6443"
    assert config["current-context"] == "admin@demo"


def test_own_certificates_are_renewed_in_time(authority: Authority, state: LabState) -> None:
    before = content(state.pki)
    assert authority.ensure(now=NOW + timedelta(days=200)) is False
    assert authority.ensure(now=NOW + timedelta(days=300)) is True
    after = content(state.pki)
    changed = {name for name in after if after[name] != before[name]}
    own = ("server", "etcd-server", "etcd-probe", "admin", "metrics", "metrics-client")
    assert changed == {"admin.kubeconfig", *(f"{name}.{end}" for name in own for end in ("crt", "key"))}


def test_another_address_of_the_server_gets_another_certificate(authority: Authority, state: LabState) -> None:
    moved = LAB.model_copy(update={"network": LAB.network.model_copy(update={"server": LAB.network.subnet[2]})})
    assert Authority(state, moved).ensure(now=NOW) is True
    certificate = x509.load_pem_x509_certificate((state.pki / "server.crt").read_bytes())
    value = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(address) for address in value.get_values_for_type(x509.IPAddress)] == ["10.77.0.2", "127.0.0.1"]


def test_who_gets_the_service_account_key(authority: Authority) -> None:
    assert set(authority.companions(Role.WORKER)) == {"ca.crt"}
    everything = {"ca.crt", "front-proxy-ca.crt", "etcd-ca.crt", "sa.key", "sa.pub"}
    assert set(authority.companions(Role.CONTROL_PLANE)) == everything


class PowerCut(BaseException):
    """Ends a test's work at a chosen point."""


def test_interrupted_anywhere_it_is_finished_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The power goes before the n-th file is written, for every n."""
    real, number = files.write, 0
    while True:
        number += 1
        state = State(tmp_path / str(number)).lab("demo")
        left = [number]

        def write(path: Path, data: str | bytes, *, mode: int = 0o644, left: list[int] = left) -> bool:
            left[0] -= 1
            if left[0] == 0:
                raise PowerCut
            return real(path, data, mode=mode)

        monkeypatch.setattr(files, "write", write)
        try:
            Authority(state, LAB).ensure(now=NOW)
        except PowerCut:
            monkeypatch.setattr(files, "write", real)
            half = content(state.pki) if state.pki.exists() else {}
            Authority(state, LAB).ensure(now=NOW)
            whole = content(state.pki)
            assert all(whole[name] == data for name, data in half.items() if name.endswith("ca.key"))
            assert Authority(state, LAB).ensure(now=NOW) is False
            continue
        assert number > 15, "the last round was not interrupted: every point before it was tried"
        return


@pytest.mark.parametrize("name", ["ca.key", "etcd-ca.key", "sa.key"])
def test_a_lost_key_is_said_and_not_replaced(authority: Authority, state: LabState, name: str) -> None:
    (state.pki / name).unlink()
    with pytest.raises(IntegrityError, match="is missing"):
        Authority(state, LAB).ensure(now=NOW)


def test_another_ca_s_key_is_said(authority: Authority, state: LabState) -> None:
    shutil.copy(state.pki / "etcd-ca.key", state.pki / "ca.key")
    with pytest.raises(IntegrityError, match="is not the key of"):
        Authority(state, LAB).ensure(now=NOW)


def test_a_damaged_certificate_is_said(authority: Authority, state: LabState) -> None:
    (state.pki / "ca.crt").write_text("x")
    with pytest.raises(IntegrityError, match="is damaged"):
        Authority(state, LAB).ensure(now=NOW)


def test_a_rotation_puts_the_old_aside(authority: Authority, state: LabState) -> None:
    before = content(state.pki)
    first = authority.rotate(now=NOW)
    assert content(first) == before
    second = authority.rotate(now=NOW + timedelta(hours=1))
    assert content(first) == before
    assert {path.name for path in (state.pki / "old").iterdir()} == {first.name, second.name}
    after = {name: data for name, data in content(state.pki).items() if "/" not in name}
    assert set(after) == set(before)
    assert not any(after[name] == before[name] for name in before)
    assert Authority(state, LAB).ensure(now=NOW) is False


def test_a_rotation_interrupted_at_any_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever rename is the last before the power goes: then the old PKI or the new one is there, whole."""
    real, number = Path.rename, 0
    while True:
        number += 1
        state = State(tmp_path / str(number)).lab("demo")
        Authority(state, LAB).ensure(now=NOW)
        before = (state.pki / "ca.crt").read_bytes()
        left = [number]

        def rename(self: Path, target: str | os.PathLike[str], left: list[int] = left) -> Path:
            left[0] -= 1
            if left[0] == 0:
                raise PowerCut
            return real(self, target)

        monkeypatch.setattr(Path, "rename", rename)
        try:
            Authority(state, LAB).rotate(now=NOW)
        except PowerCut:
            monkeypatch.setattr(Path, "rename", real)
            again = Authority(state, LAB)
            again.ensure(now=NOW)
            assert {item.name for item in again.items()} >= {"ca", "etcd-ca", "server", "admin", "sa"}
            assert Authority(state, LAB).ensure(now=NOW) is False
            old = state.pki / "old"
            kept = {path.read_bytes() for path in old.rglob("ca.crt")} if old.exists() else set()
            assert before in {(state.pki / "ca.crt").read_bytes(), *kept}
            assert not (state.root / "pki.retired").exists()
            continue
        assert number == 4, "three renames"
        return
