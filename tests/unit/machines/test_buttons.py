"""What others answer about a machine's power: read as far as it makes sense, refused in a line where it doesn't."""

from __future__ import annotations

import contextlib
import json
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.machines.buttons import amt, ipmi, plug, redfish, web
from nodisk.machines.buttons.button import PowerTrouble, State

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
)


def test_ipmitools_words() -> None:
    assert ipmi.state_of("Chassis Power is on\n").state is State.ON
    assert ipmi.state_of("Chassis Power is off\n").state is State.OFF
    assert ipmi.state_of("").state is State.UNKNOWN
    # As ipmitool 1.8.19 says it with -v, against ipmi_sim.
    wrong = "Loading IANA PEN Registry...\n> RAKP 2 HMAC is invalid\nError: Unable to establish IPMI v2 / RMCP+ session"
    assert ipmi.reason_of(wrong) == "refuses the password"
    unknown = "RAKP 2 message indicates an error : unauthorized name\nError: Unable to establish IPMI v2 session"
    assert ipmi.reason_of(unknown) == "does not know the user"
    away = "Get Auth Capabilities error\nError: Unable to establish IPMI v2 / RMCP+ session"
    assert ipmi.reason_of(away) == ipmi.NO_ANSWER
    may_not = "Set Chassis Power Control to Up/On failed: Insufficient privilege level"
    assert ipmi.reason_of(may_not) == "does not allow that to the user"
    assert ipmi.reason_of("first\nlast\x1b[2J\n") == "ipmitool failed: last[2J"


@given(st.text())
def test_any_words(text: str) -> None:
    reason = ipmi.reason_of(text)
    assert reason
    assert "\n" not in reason
    assert ipmi.state_of(text).state in State


@pytest.mark.parametrize(
    ("body", "key", "state"),
    [
        (b'{"ison": true, "source": "http"}', None, State.ON),
        (b'{"id": 0, "output": false}', None, State.OFF),
        (b'{"POWER":"ON"}', None, State.ON),
        (b'{"relay": 0}', None, State.OFF),
        (b'{"a": "off", "ison": true}', "a", State.OFF),
        (b'{"ison": true}', "a", State.UNKNOWN),
        (b"on\n", None, State.ON),
        (b"0", None, State.OFF),
        (b"on", "a", State.UNKNOWN),
        (b'{"ison": null}', None, State.UNKNOWN),
        (b"<html>on</html>", None, State.UNKNOWN),
        (b"\xff", None, State.UNKNOWN),
        (b"[" * 100_000, None, State.UNKNOWN),
    ],
)
def test_a_plugs_words(body: bytes, key: str | None, state: State) -> None:
    assert plug.state_of(body, key) is state


@given(st.binary(), st.none() | st.text(min_size=1))
def test_any_plug(body: bytes, key: str | None) -> None:
    assert plug.state_of(body, key) in State


@given(JSON)
def test_any_json_from_a_plug(value: Any) -> None:
    assert plug.state_of(json.dumps(value).encode(), None) in State


def test_links_stay_on_their_server() -> None:
    assert redfish.path_of({"@odata.id": "/redfish/v1/Systems/1"}) == "/redfish/v1/Systems/1"
    for bad in ("//evil.example/redfish", "https://evil.example/", "redfish", "/a\nb", None, 7, ["/"]):
        assert redfish.path_of({"@odata.id": bad}) is None
    assert redfish.path_of("/redfish") is None


def test_which_reset() -> None:
    def system(*allowed: str) -> dict[str, Any]:
        reset = {"target": "/reset", "ResetType@Redfish.AllowableValues": list(allowed)}
        return {"Actions": {"#ComputerSystem.Reset": reset}}

    assert redfish.reset_of(system("ForceOn", "ForceOff"), ("On", "ForceOn")) == ("/reset", "ForceOn")
    with pytest.raises(PowerTrouble, match="takes none of GracefulShutdown, PushPowerButton"):
        redfish.reset_of(system("On"), ("GracefulShutdown", "PushPowerButton"))
    assert redfish.reset_of({"Actions": {"#ComputerSystem.Reset": {"target": "/r"}}}, ("On",)) == ("/r", "On")


@given(st.dictionaries(st.sampled_from(["Actions", "PowerState", "x"]), JSON))
def test_any_system(system: dict[str, Any]) -> None:
    try:
        target, way = redfish.reset_of(system, ("On",))
    except PowerTrouble:
        return
    assert target.startswith("/")
    assert way == "On"


@given(st.binary())
def test_any_json(body: bytes) -> None:
    with contextlib.suppress(PowerTrouble):
        assert isinstance(web.as_object(body), dict)


SOAP = '<?xml version="1.0"?><s:Envelope xmlns:s="urn:s" xmlns:p="urn:p"><s:Body>{}</s:Body></s:Envelope>'


@pytest.mark.parametrize(
    ("number", "state"),
    [("2", State.ON), ("8", State.OFF), ("6", State.OFF), ("4", State.UNKNOWN), ("99", State.UNKNOWN)],
)
def test_amts_states(number: str, state: State) -> None:
    assert amt.state_of(SOAP.format(f"<p:PowerState> {number} </p:PowerState>").encode()).state is state


@pytest.mark.parametrize(
    "inner", ["", "<p:PowerState/>", "<p:PowerState>-1</p:PowerState>", "<p:PowerState>²</p:PowerState>", "<p:Fault/>"]
)
def test_amt_without_a_state(inner: str) -> None:
    with pytest.raises(PowerTrouble, match="answers without a PowerState"):
        amt.state_of(SOAP.format(inner).encode())


def test_no_entities() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "2">]><a><PowerState>&b;</PowerState></a>'
    with pytest.raises(PowerTrouble, match="declares entities"):
        amt.state_of(bomb)


@given(st.binary() | st.text().map(str.encode) | st.text().map(lambda text: SOAP.format(text).encode()))
def test_any_xml(answer: bytes) -> None:
    for read in (amt.state_of, amt.return_value):
        with contextlib.suppress(PowerTrouble):
            read(answer)


@given(st.integers(0, 100), st.text(st.characters(codec="ascii", exclude_categories=["C"])))
def test_what_amt_is_sent(state: int, message: str) -> None:
    """Another program reads it: well-formed, and the values where they belong."""
    text = amt.envelope(f"{amt.CIM}x", "CIM_PowerManagementService", amt.change(state), message=message)
    root = ElementTree.fromstring(text.encode())  # noqa: S314 - our own
    found = {element.tag.rpartition("}")[2]: element.text for element in root.iter()}
    assert found["PowerState"] == str(state)
    assert (found["MessageID"] or "") == message
