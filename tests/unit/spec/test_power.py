"""``power:`` of a machine: what each kind needs, what belongs to another, and no account in a URL."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.spec.labs import lab

from nodisk.errors import SpecError
from nodisk.spec import power
from nodisk.spec.load import parse
from nodisk.spec.model import Machine
from nodisk.spec.model_power import PowerKind, PowerSettings
from nodisk.values import Role

PLUG = "on_url: 'http://p/on', off_url: 'http://p/off', status_url: 'http://p/'"


def of(settings: str) -> str:
    return lab(machine=f"power: {{{settings}}}")


@pytest.mark.parametrize(
    "settings",
    [
        "kind: wake-on-lan",
        "kind: ipmi, address: 10.9.1.5, user: admin",
        "kind: ipmi, address: 10.9.1.5, user: admin, port: 6230",
        "kind: redfish, url: 'https://10.9.1.5', user: root, system: '1', certificate: bmc.pem",
        "kind: amt, url: 'http://10.77.0.11:16992', user: admin",
        f"kind: plug, {PLUG}, status_key: POWER",
    ],
)
def test_good(settings: str) -> None:
    made = parse(of(settings), file="/room/lab.yaml").machines[0].power
    assert settings.split(",", maxsplit=1)[0] == f"kind: {made.kind}"
    if made.certificate is not None:
        assert made.certificate == Path("/room/bmc.pem"), "from lab.yaml's folder"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("kind: ipmi, user: admin", "kind: ipmi needs `address`; add `address: 10.77.1.5`, the BMC's"),
        ("kind: ipmi, address: 10.9.1.5", "kind: ipmi needs `user`"),
        ("kind: redfish, user: root", "kind: redfish needs `url`"),
        ("kind: redfish, user: root, url: 'http://10.9.1.5'", "plain HTTP would show the password"),
        ("kind: amt, user: root, url: '10.9.1.5'", "'10.9.1.5' is not a URL"),
        ("kind: amt, user: root, url: 'http://root:geheim@10.9.1.5'", "a URL with an account in it"),
        ("kind: plug, on_url: 'http://p/on', off_url: 'http://p/off'", "kind: plug needs `status_url`"),
        ("kind: wake-on-lan, user: root", "`user` means nothing with kind: wake-on-lan"),
        (f"kind: plug, {PLUG}, system: '1'", "`system` means nothing with kind: plug"),
        ("kind: ipmi, address: 10.9.1.5, user: ''", "'' can't be a user"),
        ("kind: redfish, user: r, url: 'https://b', ca: a, certificate: b", "two ways to know the other side"),
        ("kind: telepathy", "'telepathy' is not one of wake-on-lan, ipmi, redfish, amt, plug"),
        ("kind: ipmi, address: 10.9.1.5, user: a, password: geheim", "`nodisk power login NAME` keeps it"),
        ("user: root", "'kind' is missing; one of wake-on-lan, ipmi"),
    ],
)
def test_bad(settings: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(of(settings), file="lab.yaml")
    assert message in caught.value.message
    assert "lab.yaml:11:" in caught.value.message
    assert "machines[0].power" in caught.value.message
    assert len(caught.value.message.splitlines()) == 2
    assert "geheim" not in caught.value.message


def test_absent_is_wake_on_lan() -> None:
    made = Machine.model_validate({"name": "w1", "mac": "52:54:00:00:00:02", "address": "10.77.0.12"})
    assert made.power.kind is PowerKind.WAKE_ON_LAN
    assert made.role is Role.WORKER


@given(st.text())
def test_any_text_as_a_url(text: str) -> None:
    parts = power.split(text)
    if parts is not None:
        assert parts.scheme in ("http", "https")
        assert parts.hostname
        assert text.isascii()
    settings = PowerSettings(kind=PowerKind.REDFISH, url=text, user="root")
    assert all(wrong.key == "url" for wrong in power.problems(settings))


def test_the_docs_example() -> None:
    page = (Path(__file__).parents[3] / "docs/how-to/power.md").read_text(encoding="utf-8")
    machines = page.partition("```yaml\n")[2].partition("```")[0]
    plane = "  - {name: cp1, mac: 8c:ec:4b:00:00:01, address: 10.77.0.11, role: control-plane}\n"
    text = f"name: room\nnetwork: {{subnet: 10.77.0.0/24, server: 10.77.0.1}}\n{machines}{plane}"
    made = parse(text, file="/room/lab.yaml")
    assert [machine.power.kind for machine in made.machines] == [*PowerKind, PowerKind.WAKE_ON_LAN]
