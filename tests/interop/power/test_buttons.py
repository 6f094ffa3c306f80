"""Every way to switch, against a counterpart that is honest, lies, hangs, or wants another password."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from enum import StrEnum
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from tests.interop.power.rooms import on_loopback, one_that_answers, silent_one
from tests.interop.power.standins import (
    IPMI_PASSWORD,
    PASSWORD,
    USER,
    AmtHandler,
    Bmc,
    Manner,
    PlugHandler,
    RedfishHandler,
    Served,
    bmc,
    certificate,
    served,
)
from tests.support.at_once import at_once

from nodisk.machines.buttons.amt import Amt
from nodisk.machines.buttons.button import Answer, Button, Outcome, State, Wish
from nodisk.machines.buttons.ipmi import Ipmi
from nodisk.machines.buttons.linux import Linux
from nodisk.machines.buttons.plug import Plug
from nodisk.machines.buttons.press import Way, press
from nodisk.machines.buttons.redfish import Redfish
from nodisk.spec.model_power import PowerKind, PowerSettings

PATIENT = Way(within=60)
"""Never reached by an answer that comes."""
SHORT = Way(within=4)


def ipmi(there: Bmc, password: str = IPMI_PASSWORD, user: str = USER) -> Button:
    settings = PowerSettings(kind=PowerKind.IPMI, address=IPv4Address("127.0.0.1"), port=there.port, user=user)
    return Ipmi(settings, password, whose="w1")


def redfish(there: Served, cert: Path, password: str = PASSWORD) -> Button:
    url = f"https://127.0.0.1:{there.port}"
    return Redfish(PowerSettings(kind=PowerKind.REDFISH, url=url, user=USER, certificate=cert), password, whose="w1")


def amt(there: Served, linux: Linux, password: str = PASSWORD) -> Button:
    url = f"http://127.0.0.1:{there.port}"
    return Amt(PowerSettings(kind=PowerKind.AMT, url=url, user=USER), password, linux, whose="w1")


def plug(there: Served, linux: Linux, password: str = PASSWORD) -> Button:
    base = f"http://127.0.0.1:{there.port}/relay/0"
    settings = PowerSettings(
        kind=PowerKind.PLUG, on_url=f"{base}?turn=on", off_url=f"{base}?turn=off", status_url=base, user=USER
    )
    return Plug(settings, password, linux, whose="w1")


def known(answer: Answer) -> tuple[Outcome, State]:
    return answer.outcome, answer.state


def switches(button: Button, *, cut: bool = False) -> None:
    """On, on again, status, off, off again, cycle: each confirmed."""
    way = Way(within=60, cut=cut)
    assert known(press("w1", button, Wish.STATUS, way)) == (Outcome.CONFIRMED, State.OFF)
    assert known(press("w1", button, Wish.ON, way)) == (Outcome.CONFIRMED, State.ON)
    again = press("w1", button, Wish.ON, way)
    assert again.already
    assert known(press("w1", button, Wish.STATUS, way)) == (Outcome.CONFIRMED, State.ON)
    assert known(press("w1", button, Wish.OFF, way)) == (Outcome.CONFIRMED, State.OFF)
    assert press("w1", button, Wish.OFF, way).already
    assert known(press("w1", button, Wish.ON, way)) == (Outcome.CONFIRMED, State.ON)
    assert known(press("w1", button, Wish.CYCLE, way)) == (Outcome.CONFIRMED, State.ON)


def lies(button: Button) -> Answer:
    """It says that it did, and didn't: that is not called confirmed."""
    answer = press("w1", button, Wish.ON, Way(within=10))
    assert answer.outcome is Outcome.ASKED
    assert answer.state is not State.ON
    assert answer.detail.startswith("took the request, but ")
    return answer


def hangs(button: Button) -> None:
    """It would answer after a minute: whoever waited for that would not have seen ``UNKNOWN``."""
    answer = press("w1", button, Wish.ON, SHORT)
    assert known(answer) == (Outcome.UNKNOWN, State.UNKNOWN)
    assert "no answer within" in answer.detail


def refuses(button: Button) -> None:
    answer = press("w1", button, Wish.ON, PATIENT)
    assert known(answer) == (Outcome.UNKNOWN, State.UNKNOWN)
    assert "refuses the password" in answer.detail
    assert "nodisk power login w1" in answer.detail


def comes_late(button: Button, wake: Callable[[], object]) -> None:
    """It is silent for half a minute, as a BMC that starts: what it says then counts."""
    timer = threading.Timer(30, wake)
    timer.start()
    try:
        assert known(press("w1", button, Wish.ON, Way())) == (Outcome.CONFIRMED, State.ON)
        assert timer.finished.is_set(), "it answered only then"
    finally:
        timer.cancel()


def test_ipmi(tmp_path: Path) -> None:
    with bmc(tmp_path / "bmc", Manner.HONEST) as there:
        switches(ipmi(there))
        assert "shutdown 1" in there.asked(), "off is the ACPI button"
        switches_off = press("w1", ipmi(there), Wish.OFF, Way(within=60, cut=True))
        assert switches_off.outcome is Outcome.CONFIRMED
        assert there.asked()[-1].startswith("power 0")
        refuses(ipmi(there, "wrong"))
        unknown = press("w1", ipmi(there, user="nobody"), Wish.STATUS, PATIENT)
        assert "does not know the user" in unknown.detail


def test_redfish(tmp_path: Path) -> None:
    pem = certificate(tmp_path, "bmc")
    with served(RedfishHandler, Manner.HONEST, tls=pem) as there:
        switches(redfish(there, pem.with_suffix(".crt")))
        assert there.chassis.asked == ["On", "PushPowerButton", "On", "PushPowerButton", "On"]
        press("w1", redfish(there, pem.with_suffix(".crt")), Wish.OFF, Way(within=60, cut=True))
        assert there.chassis.asked[-1] == "ForceOff"
        refuses(redfish(there, pem.with_suffix(".crt"), "wrong"))


def test_the_password_goes_to_nobody_else(tmp_path: Path) -> None:
    """Another certificate, and one that no authority signed: the request is not even made."""
    pem, other = certificate(tmp_path, "bmc"), certificate(tmp_path, "other")
    with served(RedfishHandler, Manner.HONEST, tls=pem) as there:
        pinned = press("w1", redfish(there, other.with_suffix(".crt")), Wish.STATUS, PATIENT)
        assert "another certificate than the one in lab.yaml" in pinned.detail
        settings = PowerSettings(kind=PowerKind.REDFISH, url=f"https://127.0.0.1:{there.port}", user=USER)
        unsigned = press("w1", Redfish(settings, PASSWORD, whose="w1"), Wish.STATUS, PATIENT)
        assert "certificate is not trusted" in unsigned.detail
        with_ca = settings.model_copy(update={"ca": pem.with_suffix(".crt")})
        named = press("w1", Redfish(with_ca, PASSWORD, whose="w1"), Wish.STATUS, PATIENT)
        assert "certificate is not trusted" in named.detail, "signed by the authority, but for another name"
        assert there.chassis.asked == []


def test_amt(silent: Linux) -> None:
    with served(AmtHandler, Manner.HONEST) as there:
        switches(amt(there, silent), cut=True)
        assert there.chassis.asked == ["2", "8", "2", "8", "2"]
        orderly = press("w1", amt(there, silent), Wish.OFF, PATIENT)
        assert "can't be told to shut down over ssh" in orderly.detail, "AMT itself can only cut"
        assert there.chassis.on
        refuses(amt(there, silent, "wrong"))


def test_a_plug(there: Linux) -> None:
    with served(PlugHandler, Manner.HONEST) as it:
        switches(plug(it, there), cut=True)
        refuses(plug(it, there, "wrong"))


def test_nobody_listens(silent: Linux) -> None:
    with served(AmtHandler, Manner.HONEST) as it:
        button = amt(it, silent)
    assert "refuses the connection" in press("w1", button, Wish.STATUS, PATIENT).detail


class Trouble(StrEnum):
    LIES = "lies"
    HANGS = "hangs"
    COMES_LATE = "comes late"

    @property
    def manner(self) -> Manner:
        return Manner.LIES if self is Trouble.LIES else Manner.HANGS

    def meet(self, button: Button, wake: Callable[[], object]) -> None:
        if self is Trouble.COMES_LATE:
            comes_late(button, wake)
        else:
            (lies if self is Trouble.LIES else hangs)(button)


def ipmi_bmc(trouble: Trouble, folder: Path) -> None:
    with bmc(folder / "bmc", trouble.manner) as there:
        trouble.meet(ipmi(there), partial(there.process.send_signal, signal.SIGCONT))
        if trouble is Trouble.LIES:
            assert there.asked()[0].startswith("power 1")


def redfish_bmc(trouble: Trouble, folder: Path) -> None:
    pem = certificate(folder, "bmc")
    with served(RedfishHandler, trouble.manner, tls=pem) as there:
        trouble.meet(redfish(there, pem.with_suffix(".crt")), there.chassis.release.set)


def amt_chip(trouble: Trouble, folder: Path) -> None:
    with served(AmtHandler, trouble.manner) as there:
        trouble.meet(amt(there, silent_one(on_loopback(folder))), there.chassis.release.set)


def smart_plug(trouble: Trouble, folder: Path) -> None:
    with served(PlugHandler, trouble.manner) as it:
        trouble.meet(plug(it, one_that_answers(on_loopback(folder))), it.chassis.release.set)


def plug_is_no_pc(folder: Path) -> None:
    """The socket has power, and nobody has seen the PC: that is asked, not confirmed; then it goes off and on."""
    silent = silent_one(on_loopback(folder))
    with served(PlugHandler, Manner.HONEST) as it:
        answer = press("w1", plug(it, silent), Wish.ON, SHORT)
        assert known(answer) == (Outcome.ASKED, State.UNKNOWN)
        assert "its plug is on, but it does not answer ping" in answer.detail
        assert it.chassis.asked == ["on"]
        press("w1", plug(it, silent), Wish.ON, SHORT)
        assert it.chassis.asked == ["on", "off", "on"]


OUTLASTED: dict[str, Callable[[Path], None]] = {
    f"{which.__name__}-{trouble}": partial(which, trouble)
    for trouble in sorted(Trouble)
    for which in (ipmi_bmc, redfish_bmc, amt_chip, smart_plug)
} | {"plug_is_no_pc": plug_is_no_pc}
"""Each waits for as long as it may, for what comes never, or late."""


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Future[object]]]:
    cases = {name: partial(case, tmp_path_factory.mktemp("outlasted")) for name, case in OUTLASTED.items()}
    with at_once(cases) as begun:
        yield begun


@pytest.mark.parametrize("name", OUTLASTED)
def test_what_was_not_seen_is_not_called_confirmed(begun: Mapping[str, Future[object]], name: str) -> None:
    begun[name].result()
