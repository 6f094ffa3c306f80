"""The other side of a machine's power, on loopback: honest, lying, hanging, or with another password.

ipmi_sim is OpenIPMI's own BMC. The others are written from the standards (DSP0266 for Redfish, DSP0226 and DSP1027 for
WS-Management, RFC 7616 for digests), not from nodisk's clients.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import re
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tests.support.free_ports import free_port
from tests.support.waits import until

from nodisk import run

USER, PASSWORD = "admin", "Tajne-hasło 7"
LONG = 60.0


class Manner(StrEnum):
    HONEST = "honest"
    LIES = "lies"  # says that all is well, and does nothing
    HANGS = "hangs"


@dataclass
class Chassis:
    """What is switched, and how often it was asked to."""

    manner: Manner = Manner.HONEST
    on: bool = False
    asked: list[str] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def switch(self, what: str, on: bool) -> None:
        self.asked.append(what)
        if self.manner is not Manner.LIES:
            self.on = on

    def wait(self) -> None:
        if self.manner is Manner.HANGS:
            self.release.wait(LONG)


class _Handler(http.server.BaseHTTPRequestHandler):
    chassis: Chassis
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def basic(self) -> bool:
        wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return self.headers.get("Authorization") == wanted


class RedfishHandler(_Handler):
    """A service with one system."""

    def do_GET(self) -> None:
        self.chassis.wait()
        if self.path == "/redfish/v1/":
            return self._json({"Systems": {"@odata.id": "/redfish/v1/Systems"}})
        if not self.basic():
            return self.answer(401, b"{}", WWW_Authenticate='Basic realm="bmc"')
        if self.path == "/redfish/v1/Systems":
            return self._json({"Members": [{"@odata.id": "/redfish/v1/Systems/1"}]})
        return self._json(
            {
                "Id": "1",
                "PowerState": "On" if self.chassis.on else "Off",
                "Actions": {
                    "#ComputerSystem.Reset": {
                        "target": "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
                        "ResetType@Redfish.AllowableValues": ["On", "ForceOff", "PushPowerButton"],
                    }
                },
            }
        )

    def do_POST(self) -> None:
        self.chassis.wait()
        body = self.body()
        if not self.basic():
            return self.answer(401, b"{}", WWW_Authenticate='Basic realm="bmc"')
        what = json.loads(body)["ResetType"]
        self.chassis.switch(what, what == "On")
        return self.answer(204, b"")

    def _json(self, value: object) -> None:
        self.answer(200, json.dumps(value).encode())


class PlugHandler(_Handler):
    """A socket as Shelly's first generation speaks."""

    def do_GET(self) -> None:
        self.chassis.wait()
        if not self.basic():
            return self.answer(401, b"")
        if "turn=" in self.path:
            what = self.path.rpartition("=")[2]
            self.chassis.switch(what, what == "on")
        return self.answer(200, json.dumps({"ison": self.chassis.on, "has_timer": False}).encode())


class AmtHandler(_Handler):
    """The two classes that matter, behind a digest."""

    def do_POST(self) -> None:
        self.chassis.wait()
        body = self.body().decode()
        if self.path != "/wsman" or not self._digest():
            challenge = 'Digest realm="Digest:A3F1", nonce="0123abcd", stale="false", qop="auth"'
            return self.answer(401, b"", WWW_Authenticate=challenge)
        if "CIM_AssociatedPowerManagementService" in body:
            return self._soap(f"<p:PowerState>{2 if self.chassis.on else 8}</p:PowerState>")
        state = re.search(r"<p:PowerState>(\d+)</p:PowerState>", body)
        assert state is not None
        self.chassis.switch(state.group(1), state.group(1) == "2")
        return self._soap("<p:ReturnValue>0</p:ReturnValue>")

    def _soap(self, inner: str) -> None:
        envelope = (
            '<?xml version="1.0" encoding="UTF-8"?><a:Envelope xmlns:a="http://www.w3.org/2003/05/soap-envelope" '
            f'xmlns:p="http://example.org/"><a:Header/><a:Body><p:Answer>{inner}</p:Answer></a:Body></a:Envelope>'
        )
        self.answer(200, envelope.encode(), "application/soap+xml;charset=UTF-8")

    def _digest(self) -> bool:
        header = self.headers.get("Authorization", "")
        given = {key: quoted or bare for key, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^",\s]+))', header)}
        if not header.startswith("Digest ") or given.get("nonce") != "0123abcd":
            return False

        def md5(text: str) -> str:
            return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

        secret = md5(f"{USER}:{given['realm']}:{PASSWORD}")
        request = md5(f"POST:{given['uri']}")
        wanted = md5(f"{secret}:{given['nonce']}:{given['nc']}:{given['cnonce']}:{given['qop']}:{request}")
        return bool(given["response"] == wanted)


@dataclass(frozen=True)
class Served:
    chassis: Chassis
    port: int


@contextlib.contextmanager
def served(handler: type[_Handler], manner: Manner, *, tls: Path | None = None) -> Iterator[Served]:
    """A stand-in on a port of loopback; ``tls``: a PEM file with its key and certificate."""
    chassis = Chassis(manner)
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Handler", (handler,), {"chassis": chassis}), bind_and_activate=True
    )
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # clients that hang up are what is tested
    server.daemon_threads = True
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield Served(chassis, server.server_address[1])
    finally:
        chassis.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


def certificate(folder: Path, name: str) -> Path:
    """A key and a certificate that it signed itself, for a name that is nobody's: as BMCs have them."""
    key, cert, both = folder / f"{name}.key", folder / f"{name}.crt", folder / f"{name}.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    run.run([*words, "-keyout", key, "-out", cert, "-days", "2", "-subj", f"/CN={name}.invalid"])
    both.write_text(key.read_text() + cert.read_text())
    return both


CHASSIS = """\
#!/bin/sh
# ipmi_sim asks: MC get NAME… | MC set NAME VALUE…
shift; verb=$1; shift
case $verb in
get) for name; do if [ "$name" = power ]; then echo "power:$(cat '{state}')"; else echo "$name:0"; fi; done;;
set) echo "$*" >>'{state}.asked'
     [ '{manner}' = lies ] && exit 0
     case $1 in power) echo "$2" >'{state}';; shutdown) echo 0 >'{state}';; esac;;
esac
exit 0
"""
LAN = """\
name "bmc"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "{chassis} 0x20"
  user 2 true "{user}" "{password}" operator 10 none md2 md5 straight
"""
EMULATOR = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
mc_enable 0x20
"""
IPMI_PASSWORD = "bmc-secret-7"
"""IPMI takes at most 20 bytes."""


@dataclass(frozen=True)
class Bmc:
    port: int
    state: Path
    process: subprocess.Popen[bytes]

    def asked(self) -> list[str]:
        file = self.state.with_name("state.asked")
        return file.read_text().split("\n")[:-1] if file.exists() else []


@contextlib.contextmanager
def bmc(folder: Path, manner: Manner, *, netns: str | None = None) -> Iterator[Bmc]:
    """ipmi_sim with one chassis, which is off."""
    folder.mkdir()
    state = folder / "state"
    state.write_text("0\n")
    script = folder / "chassis"
    script.write_text(CHASSIS.format(state=state, manner=manner))
    script.chmod(0o755)
    port = free_port()
    (folder / "lan").write_text(LAN.format(port=port, chassis=script, user=USER, password=IPMI_PASSWORD))
    (folder / "emu").write_text(EMULATOR)
    words: list[str | Path] = ["ipmi_sim", "-n", "-c", folder / "lan", "-f", folder / "emu", "-s", folder]
    process = run.start(words, log_file=folder / "log", netns=netns)
    try:
        until(lambda: _bound(port, process), why=(folder / "log").read_text, process=process)
        if manner is Manner.HANGS:
            process.send_signal(19)  # SIGSTOP: it is there, and says nothing
        yield Bmc(port, state, process)
    finally:
        process.kill()
        process.wait()


def _bound(port: int, process: subprocess.Popen[bytes]) -> bool:
    with contextlib.suppress(OSError):  # one that has ended has no ports
        return f":{port:04X} " in Path(f"/proc/{process.pid}/net/udp").read_text()
    return False
