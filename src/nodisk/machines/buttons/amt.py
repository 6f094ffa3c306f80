"""Intel AMT by WS-Management (DMTF DSP0226): the power state of a PC whose firmware has a small server of its own.

Two messages are all there is to it, so this is a small client: the libraries that speak WS-Management are for Windows.
The account is checked by HTTP digest (RFC 7616), so the password itself is never sent, with TLS or without.
Classes: CIM_AssociatedPowerManagementService and CIM_PowerManagementService (DSP1027).
"""

from __future__ import annotations

import re
import uuid
from urllib.parse import urljoin, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import httpx2

from nodisk.machines.buttons.button import PowerTrouble, Seen, State
from nodisk.machines.buttons.linux import Linux
from nodisk.machines.buttons.web import Web
from nodisk.spec.model_power import PowerSettings

CIM = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
GET = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get"
_SOAP = "http://www.w3.org/2003/05/soap-envelope"
_ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
_WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
_ANONYMOUS = f"{_ADDRESSING}/role/anonymous"
ON, OFF = 2, 8
"""Values of RequestPowerStateChange's PowerState (DSP1027): on; off, soft."""
_STATES = {2: State.ON, 6: State.OFF, 8: State.OFF, 12: State.OFF, 13: State.OFF}
_SLEEPS = {3: "sleeps", 4: "sleeps deeply", 7: "hibernates"}
_DOCTYPE = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


class Amt:
    """One PC's AMT. It can only cut the power by itself: an orderly shutdown is for the PC's own Linux."""

    def __init__(self, power: PowerSettings, password: str, linux: Linux, *, whose: str) -> None:
        self._url, self._linux = power.url or "", linux
        self._web = Web(power, httpx2.DigestAuth(power.user or "", password), whose=whose)

    @property
    def how(self) -> str:
        """By what means."""
        return f"amt {urlsplit(self._url).netloc}"

    def look(self, within: float) -> Seen:
        """The power state that AMT tells."""
        return state_of(self._send(GET, "CIM_AssociatedPowerManagementService", "", within))

    def on(self, within: float) -> None:
        """Request the state On."""
        self._change(ON, within)

    def off(self, within: float) -> None:
        """Ask its Linux over ssh."""
        self._linux.power_off(within)

    def cut(self, within: float) -> None:
        """Request the state Off."""
        self._change(OFF, within)

    def _change(self, state: int, within: float) -> None:
        kind = "CIM_PowerManagementService"
        code = return_value(self._send(f"{CIM}{kind}/RequestPowerStateChange", kind, change(state), within))
        if code != 0:
            raise PowerTrouble(f"refuses to change the power state (ReturnValue {code})")

    def _send(self, action: str, kind: str, body: str, within: float) -> bytes:
        headers = {"Content-Type": "application/soap+xml; charset=UTF-8"}
        text = envelope(action, kind, body, message=f"uuid:{uuid.uuid4()}")
        return self._web.request("POST", urljoin(self._url, "/wsman"), within, content=text.encode(), headers=headers)


def envelope(action: str, kind: str, body: str, *, message: str) -> str:
    """A WS-Management request about one CIM class; ``body`` is XML, ``message`` its unique id."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<s:Envelope xmlns:s="{_SOAP}" xmlns:a="{_ADDRESSING}" xmlns:w="{_WSMAN}"><s:Header>'
        f'<a:Action s:mustUnderstand="true">{escape(action)}</a:Action><a:To s:mustUnderstand="true">/wsman</a:To>'
        f'<w:ResourceURI s:mustUnderstand="true">{CIM}{kind}</w:ResourceURI>'
        f'<a:MessageID s:mustUnderstand="true">{escape(message)}</a:MessageID>'
        f"<a:ReplyTo><a:Address>{_ANONYMOUS}</a:Address></a:ReplyTo>"
        f"<w:OperationTimeout>PT60S</w:OperationTimeout></s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )


def change(state: int) -> str:
    """The input of RequestPowerStateChange: which state, and of what."""
    return (
        f'<p:RequestPowerStateChange_INPUT xmlns:p="{CIM}CIM_PowerManagementService"><p:PowerState>{state}'
        f"</p:PowerState><p:ManagedElement><a:Address>{_ANONYMOUS}</a:Address><a:ReferenceParameters>"
        f"<w:ResourceURI>{CIM}CIM_ComputerSystem</w:ResourceURI><w:SelectorSet>"
        '<w:Selector Name="CreationClassName">CIM_ComputerSystem</w:Selector>'
        '<w:Selector Name="Name">ManagedSystem</w:Selector></w:SelectorSet></a:ReferenceParameters>'
        "</p:ManagedElement></p:RequestPowerStateChange_INPUT>"
    )


def state_of(answer: bytes) -> Seen:
    """The power state in an answer to Get; raises PowerTrouble."""
    number = _number(answer, "PowerState")
    words = _SLEEPS.get(number, f"AMT says power state {number}")
    return Seen(_STATES.get(number, State.UNKNOWN), words)


def return_value(answer: bytes) -> int:
    """The ReturnValue in an answer; raises PowerTrouble."""
    return _number(answer, "ReturnValue")


def _number(answer: bytes, name: str) -> int:
    if _DOCTYPE.search(answer):
        raise PowerTrouble("answers with XML that declares entities, which SOAP forbids")
    try:
        root = ElementTree.fromstring(answer)  # noqa: S314 - no entities (above), and at most 1 MiB
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise PowerTrouble("answers with something that is not XML") from error
    for element in root.iter():
        if element.tag.rpartition("}")[2] == name:
            text = (element.text or "").strip()
            if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
                return int(text)
    raise PowerTrouble(f"answers without a {name}")
