"""Redfish as OpenStack's emulator speaks it (sushy-tools, its fake driver): a service that others wrote.

It is installed into an environment of its own, since a dozen packages for one test would burden everybody's lock.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.interop.power.standins import certificate
from tests.support.free_ports import free_port
from tests.support.waits import LONG, until

from nodisk import run
from nodisk.machines.buttons.button import Outcome, State, Wish
from nodisk.machines.buttons.press import Way, press
from nodisk.machines.buttons.redfish import Redfish
from nodisk.spec.model_power import PowerKind, PowerSettings

pytestmark = pytest.mark.apart

SUSHY = "sushy-tools==2.2.0"
# `admin` and `password`, by bcrypt, as its documentation has it.
ACCOUNT = "admin:$2y$05$mYl8KMwM94l4LR/sw1teIeA6P2u8gfX16e8wvT7NmGgAM5r9jgLl.\n"
SETTINGS = """\
SUSHY_EMULATOR_FAKE_DRIVER = True
SUSHY_EMULATOR_LISTEN_IP = "127.0.0.1"
SUSHY_EMULATOR_LISTEN_PORT = {port}
SUSHY_EMULATOR_SSL_CERT = "{cert}"
SUSHY_EMULATOR_SSL_KEY = "{key}"
SUSHY_EMULATOR_AUTH_FILE = "{account}"
SUSHY_EMULATOR_STATE_DIR = "{folder}"
SUSHY_EMULATOR_FAKE_SYSTEMS = [
    {{"uuid": "27946b59-9e44-4fa7-8e91-f3527a1ef091", "name": "one", "power_state": "Off", "nics": []}},
    {{"uuid": "27946b59-9e44-4fa7-8e91-f3527a1ef092", "name": "two", "power_state": "Off", "nics": []}},
]
"""


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    folder = tmp_path_factory.mktemp("sushy")
    run.run([sys.executable, "-m", "venv", folder / "venv"], timeout=600)
    run.run([folder / "venv/bin/pip", "install", "--quiet", SUSHY], timeout=600)
    pem = certificate(folder, "bmc")
    account, settings = folder / "account", folder / "settings.py"
    account.write_text(ACCOUNT)
    port = free_port()
    cert, key = pem.with_suffix(".crt"), pem.with_suffix(".key")
    settings.write_text(SETTINGS.format(port=port, cert=cert, key=key, account=account, folder=folder))
    words: list[str | Path] = [folder / "venv/bin/sushy-emulator", "--config", settings]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        until(lambda: listens(port), every=0.1, why=(folder / "log").read_text, process=process)
        yield port, cert
    finally:
        process.kill()
        process.wait()


def button(emulator: tuple[int, Path], password: str, system: str | None) -> Redfish:
    port, cert = emulator
    url = f"https://127.0.0.1:{port}"
    settings = PowerSettings(kind=PowerKind.REDFISH, url=url, user="admin", system=system, certificate=cert)
    return Redfish(settings, password, whose="w1")


def test_on_off_and_which(emulator: tuple[int, Path]) -> None:
    way = Way(within=LONG)
    which = press("w1", button(emulator, "password", None), Wish.STATUS, way)
    assert which.outcome is Outcome.UNKNOWN
    assert "has 2 systems that could be meant" in which.detail
    one = button(emulator, "password", "27946b59-9e44-4fa7-8e91-f3527a1ef091")
    for wish, state in ((Wish.STATUS, State.OFF), (Wish.ON, State.ON), (Wish.CYCLE, State.ON), (Wish.OFF, State.OFF)):
        answer = press("w1", one, wish, way)
        assert (answer.outcome, answer.state) == (Outcome.CONFIRMED, state), (wish, answer)
    wrong = press("w1", button(emulator, "wrong", None), Wish.STATUS, way)
    assert "refuses the password of admin" in wrong.detail
