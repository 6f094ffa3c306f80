"""Parts of the handlers that need no server: the enrolment's body, and the application as nginx reaches it."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodisk.pki.authority import Authority
from nodisk.pki.profiles import PROFILES, Refused
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.records.nonces import FOREVER, LIFETIME
from nodisk.records.turns import Turned
from nodisk.server.app import application
from nodisk.server.handlers.common import AppState
from nodisk.server.handlers.enrol import parse
from nodisk.server.texts import Texts
from nodisk.spec.model import Lab
from nodisk.spec.model_kubernetes import Engine
from nodisk.spec.model_timetable import Outside, Timetable
from nodisk.spec.timetable import Turn
from nodisk.values import Mac

KEY = "ssh-host-key: ssh-ed25519 " + "A" * 68 + "\n"
CSR = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"


def test_a_body() -> None:
    found = parse(f"{KEY}profile: kubelet-client\n{CSR}profile: kube-proxy\n{CSR}".encode())
    assert found.host_keys == ("ssh-ed25519 " + "A" * 68,)
    assert found.requests == ((PROFILES["kubelet-client"], CSR), (PROFILES["kube-proxy"], CSR))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"hello\nprofile: kube-proxy\n", "not an SSH host key"),
        (b"ssh-host-key: ssh-dss AAAA\nprofile: kube-proxy\n", "not an SSH host key"),
        (b"profile: kube-proxy\nx\nprofile: kube-proxy\nx\n", "kube-proxy is there twice"),
        (b"profile: cluster-admin\nx\n", "not known here"),
        (KEY.encode() * 9 + b"profile: kube-proxy\nx\n", "too many SSH host keys"),
        (b"profile: kube-proxy\n\xff", "not plain ASCII"),
    ],
)
def test_bodies_that_are_refused(body: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        parse(body)


@settings(max_examples=200)
@given(st.binary(max_size=400) | st.text(max_size=200).map(lambda text: ("profile: " + text).encode()))
def test_no_body_does_more_than_be_refused(body: bytes) -> None:
    try:
        names = {profile.name for profile, _ in parse(body).requests}
    except Refused:
        return
    assert names <= set(PROFILES)


def test_a_body_without_profiles_is_one_of_a_plain_machine() -> None:
    assert parse(KEY.encode()).requests == ()


W1, STRANGER = "52:54:00:77:00:15", "02:00:00:00:00:99"
ADDRESS = "10.77.0.21"
LAB = Lab.model_validate(
    {
        "name": "room",
        "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
        "machines": [
            {"name": "cp1", "mac": "52:54:00:77:00:0b", "address": "10.77.0.11", "role": "control-plane"},
            {"name": "w1", "mac": W1, "address": ADDRESS},
        ],
    }
)


@dataclass
class Server:
    """The application with a clock of its own, asked as nginx asks it."""

    app_state: AppState
    now: float = 1000.0

    def ask(self, method: str, path: str, *, source: str = ADDRESS, **how: Any) -> httpx2.Response:
        async def send() -> httpx2.Response:
            transport = httpx2.ASGITransport(application(self.app_state))
            async with httpx2.AsyncClient(transport=transport, base_url="http://server") as client:
                headers = {"X-Real-IP": source, **how.pop("headers", {})}
                return await client.request(method, path, headers=headers, **how)

        return asyncio.run(send())

    def event(self, stage: str, *, source: str = ADDRESS, detail: str = "") -> int:
        data = {"mac": W1, "stage": stage, "detail": detail}
        return self.ask("POST", "/event", source=source, data=data).status_code

    def prints(self, lines: str, *, source: str = ADDRESS, **more: str) -> int:
        return self.ask("POST", "/event", source=source, data={"mac": W1, "lines": lines, **more}).status_code

    def enrol(self, nonce: str, *, source: str = ADDRESS, mac: str = W1) -> httpx2.Response:
        return self.ask("POST", "/enrol", source=source, headers={"Nodisk-Nonce": nonce, "Nodisk-Mac": mac})

    def told(self, kind: Kind) -> list[str]:
        return [event.detail for event in self.app_state.database.events(kinds=(kind,))]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Database(tmp_path / "nodisk.db", now=lambda: made.now) as database:
        texts = cast("Texts", Scripts(LAB))
        made = Server(AppState(texts, cast("Authority", None), database))
        for limit in (
            made.app_state.limits.alarms.limit,
            *(made.app_state.limits.reports, made.app_state.limits.sightings),
            *(made.app_state.limits.per_unknown_mac, made.app_state.limits.all_unknown_macs),
        ):
            limit.now = lambda: made.now
        database.arm(FOREVER)
        yield made


@dataclass
class Scripts:
    """In place of the plan: no script is looked at here."""

    lab: Lab
    daemons: dict[str, str] = field(default_factory=dict)

    def script(self, _: object, nonce: str | None) -> str:
        return nonce or "no nonce"

    def other(self, _: object, entry: str) -> str:
        if entry not in ("menu", "disk", "debian", "shell", "rescue"):
            raise KeyError(entry)
        return f"for {entry}"

    def address(self, _: object, holder: object) -> str:
        return f"{holder} has it" if holder else "take your address"

    def twin(self, _: object) -> str:
        return "there is another one"

    def disk(self, _: object) -> str:
        return "own disk"

    def unknown(self, _: object) -> str:
        return "menu"

    grub_script, grub_address = script, address
    grub_disk = disk
    grub_other = other

    def grub_unknown(self, _: object) -> str:
        return "GRUB's menu"

    def grub_entry(self) -> str:
        return "GRUB's entry"


POOL = "10.77.0.150"


def test_outside_of_lessons_a_machine_boots_its_own_disk_unless_the_lab_is_armed(server: Server) -> None:
    lessons = Timetable.model_validate({"lessons": ["mon 10:15-12:00"], "timezone": "UTC"})
    database = server.app_state.database

    def asks(when: str, timetable: Timetable | None = lessons) -> str:
        server.now = datetime.fromisoformat(f"{when}+00:00").timestamp()
        lab = LAB.model_copy(update={"timetable": timetable})
        server.app_state.texts = cast("Texts", Scripts(lab))
        answers = {server.ask("GET", path).text for path in (f"/boot/{W1}.ipxe", f"/grub/{W1}.cfg")}
        return "nonces" if len(answers) == 2 else answers.pop()

    assert asks("2026-11-30T09:00") == "nonces", "armed until it is disarmed"
    database.disarm()
    assert asks("2026-11-30T09:59") == "own disk"
    assert "no lesson now" in server.told(Kind.DAEMON)[-1]
    stages = len(server.told(Kind.STAGE))
    assert asks("2026-11-30T10:00") == "no nonce", "a lesson, but the room is there already"
    assert len(server.told(Kind.STAGE)) > stages
    assert asks("2026-11-30T12:00") == "own disk"
    assert server.ask("GET", f"/boot/{STRANGER}.ipxe").text == "menu"
    assert asks("2026-11-30T12:00", lessons.model_copy(update={"outside": Outside.LAB})) == "no nonce"
    assert asks("2026-11-30T12:00", None) == "no nonce"
    database.turn(Turned(Turn.ON, server.now, by_hand=True))
    assert asks("2026-11-30T15:00") == "no nonce", "somebody has switched the room on"


def test_a_pools_address_is_told_to_take_the_machines(server: Server) -> None:
    assert server.ask("GET", f"/boot/{W1}.ipxe", source=POOL).text == "take your address"
    assert server.told(Kind.ALARM) == []
    armed = server.ask("GET", f"/boot/{W1}.ipxe?pool={POOL}")
    assert len(armed.text) == 32
    assert server.told(Kind.STAGE) == [f"the room's DHCP server gave it {POOL}"]


@pytest.mark.parametrize("said", ["", "1.2.3.4.5", "%3Cscript%3E", "x" * 3000])
def test_what_a_machine_says_of_its_pool_is_an_address_or_nothing(server: Server, said: str) -> None:
    assert len(server.ask("GET", f"/boot/{W1}.ipxe?pool={said}").text) == 32
    assert server.told(Kind.STAGE) == [""]


def test_who_says_he_took_the_address_and_did_not_gets_no_nonce(server: Server) -> None:
    for source, query in ((POOL, f"?pool={POOL}"), ("192.0.2.7", ""), ("10.77.0.1", "")):
        before = len(server.told(Kind.ALARM))
        assert server.ask("GET", f"/boot/{W1}.ipxe{query}", source=source).text == "no nonce"
        assert len(server.told(Kind.ALARM)) == before + 1
        assert server.told(Kind.ALARM)[-1].startswith(f"{source} asks for the boot script of w1 ({ADDRESS})")


def test_an_address_that_another_device_has_is_not_taken(server: Server) -> None:
    async def holder(address: IPv4Address) -> Mac | None:
        assert str(address) == ADDRESS
        return Mac.parse(STRANGER)

    server.app_state.holder = holder
    assert server.ask("GET", f"/boot/{W1}.ipxe", source=POOL).text == f"{STRANGER} has it"
    assert f"({ADDRESS}, which {STRANGER} has)" in server.told(Kind.ALARM)[-1]
    # From its own address the machine asks as ever: the server looks for nobody.
    assert len(server.ask("GET", f"/boot/{W1}.ipxe").text) == 32


def board(serial: str, uuid: str = "") -> str:
    return f"?busid=01&hex.product={b'OptiPlex & Co'.hex()}&hex.serial={serial.encode().hex()}&uuid={uuid}"


def test_of_two_machines_with_one_mac_the_second_gets_nothing(server: Server) -> None:
    first, second = f"/boot/{W1}.ipxe{board('A1')}", f"/boot/{W1}.ipxe{board('B2')}"
    nonce = server.ask("GET", first).text
    assert len(nonce) == 32
    server.now += 60
    assert server.ask("GET", second).text == "there is another one"
    (alarm,) = server.told(Kind.ALARM)
    assert (
        "w1: OptiPlex & Co, serial B2 asks and gets nothing; it is not OptiPlex & Co, serial A1, which asked 1 min ago"
        in alarm
    )
    assert "gave" not in server.enrol(nonce).text, "the first one's nonce still counts"
    # However long the first one runs, and however often the second asks.
    server.app_state.ready = yes
    for _ in range(3):
        server.now += 1000
        assert server.ask("GET", second).text == "there is another one"
    assert "whose node is Ready" in server.told(Kind.ALARM)[-1]
    assert len(server.ask("GET", first).text) == 32


async def yes(name: str) -> bool:
    return name == "w1"


def test_another_mainboard_is_a_word_once(server: Server) -> None:
    server.ask("GET", f"/boot/{W1}.ipxe{board('A1', 'aaaa')}")
    server.now += LIFETIME + 1
    for _ in range(2):
        assert len(server.ask("GET", f"/boot/{W1}.ipxe{board('B2')}").text) == 32
        server.now += 60
    assert server.told(Kind.ALARM) == []
    assert server.told(Kind.STAGE) == [
        "",
        "another mainboard: OptiPlex & Co, serial B2; before: OptiPlex & Co, serial A1, uuid aaaa",
        "",
    ]
    # The old one's UUID is forgotten with it: the new one may tell its own later.
    assert len(server.ask("GET", f"/boot/{W1}.ipxe{board('B2', 'bbbb')}").text) == 32


def test_another_switch_port_is_a_word(server: Server) -> None:
    for port in ("Gi1/0/7", "Gi1/0/7", "", "Gi1/0/8"):
        told = f"&hex.system={b'sw1'.hex()}&hex.port=05{port.encode().hex()}" if port else ""
        assert len(server.ask("GET", f"/boot/{W1}.ipxe{board('A1')}{told}").text) == 32
    assert server.told(Kind.STAGE)[-1] == "another switch port: sw1 Gi1/0/8; before: sw1 Gi1/0/7"
    assert server.told(Kind.STAGE)[:-1] == [""] * 3
    assert server.told(Kind.ALARM) == []


def test_a_machine_that_names_port_after_port_does_not_fill_the_records(server: Server) -> None:
    for number in range(100):
        server.ask("GET", f"/boot/{W1}.ipxe?hex.system={b'sw1'.hex()}&hex.port=05{str(number).encode().hex()}")
    assert len(server.told(Kind.STAGE)) < 40


def test_who_says_little_or_asks_from_elsewhere_changes_nothing(server: Server) -> None:
    assert len(server.ask("GET", f"/boot/{W1}.ipxe{board('A1')}").text) == 32
    assert len(server.ask("GET", f"/boot/{W1}.ipxe").text) == 32
    assert len(server.ask("GET", f"/grub/{W1}.cfg").text) == 32
    assert server.ask("GET", f"/boot/{W1}.ipxe{board('B2')}", source=POOL).text == "take your address"
    assert len(server.ask("GET", f"/boot/{W1}.ipxe{board('A1')}").text) == 32
    assert server.told(Kind.ALARM) == []


def test_two_machines_with_one_mac_that_nobody_knows(server: Server) -> None:
    for serial, alarms in (("A1", 0), ("A1", 0), ("B2", 1)):
        assert server.ask("GET", f"/boot/{STRANGER}.ipxe{board(serial)}").text == "menu"
        assert len(server.told(Kind.ALARM)) == alarms
    assert server.told(Kind.ALARM) == [
        f"two machines have the MAC {STRANGER}: OptiPlex & Co, serial A1; and OptiPlex & Co, serial B2"
    ]
    server.now += LIFETIME + 1
    server.app_state.database.sightings.see(Mac.parse(STRANGER))  # its firmware asks by DHCP first
    server.ask("GET", f"/boot/{STRANGER}.ipxe{board('C3')}")
    assert len(server.told(Kind.ALARM)) == 1


def test_who_fills_the_records_keeps_nobody_else_out(server: Server) -> None:
    """Somebody with the machine's address: neither its failure nor its refusal is lost in what he asks for."""
    for number in range(100):
        server.ask("GET", f"/boot/02-00-00-00-01-{number:02x}.ipxe")
        server.ask("GET", f"/boot/{W1}.ipxe")
        server.event("os")
        server.enrol("0" * 32)
    assert server.event("failed", detail="enrolled: refused") == 200
    assert server.told(Kind.STAGE)[-1] == "enrolled: refused"
    nonce = server.ask("GET", f"/boot/{W1}.ipxe").text
    server.ask("GET", f"/boot/{W1}.ipxe")
    assert server.enrol(nonce).status_code == 410
    assert "newer script" in server.told(Kind.ALARM)[-1]


def test_what_a_machine_prints_is_kept_beside_its_stage(server: Server) -> None:
    def kept() -> tuple[str, ...]:
        found = server.app_state.database.printed.of(Mac.parse(W1))
        return () if found is None else found.lines

    assert server.prints("Starting a\nStarted a", stage="os") == 200
    assert kept() == ("Starting a", "Started a")
    assert server.event("enrolled") == 200  # an image from before this says nothing of it
    assert kept() == ("Starting a", "Started a")
    assert server.prints("Starting b", stage="") == 200
    assert kept() == ("Starting b",)
    assert len(server.told(Kind.STAGE)) == 2
    assert server.prints("another's", source="10.77.0.99") == 403
    assert server.prints("", stage="") == 400
    assert {server.prints("flood") for _ in range(100)} == {200, 429}
    assert server.event("failed") == 200


def test_a_flood_of_alarms_is_bounded_and_told_of_every_minute(server: Server) -> None:
    for _ in range(200):
        server.enrol("0" * 32)
    first = server.told(Kind.ALARM)
    assert len(first) == 30
    assert first[-1] == "enrolment refused: this nonce was never given out (and at least 128 more like it)"
    server.now += 60
    server.enrol("0" * 32)
    assert server.told(Kind.ALARM) == [*first, "enrolment refused: this nonce was never given out"]


def test_machines_that_lab_yaml_does_not_know_share_their_alarms(server: Server) -> None:
    for number in range(200):
        server.enrol("0" * 32, mac=f"02:00:00:00:02:{number:02x}")
    assert len(server.told(Kind.ALARM)) == 30


def test_invented_macs_are_bounded_as_a_whole(server: Server) -> None:
    for number in range(1000):
        server.ask("GET", f"/boot/02-00-00-00-{number >> 8:02x}-{number & 255:02x}.ipxe")
    assert len(server.told(Kind.UNKNOWN)) == 300
    for _ in range(50):
        server.ask("GET", f"/boot/{STRANGER}.ipxe")
    server.now += 10
    server.ask("GET", f"/boot/{STRANGER}.ipxe")
    assert len(server.told(Kind.UNKNOWN)) == 300, "it had its own share already"
    server.now += 60
    server.ask("GET", f"/boot/{STRANGER}.ipxe")
    assert len(server.told(Kind.UNKNOWN)) == 301


def test_a_script_that_is_fetched_again_and_again_leaves_few_records(server: Server) -> None:
    nonces = {server.ask("GET", f"/boot/{W1}.ipxe").text for _ in range(100)}
    assert len(nonces) == 100
    assert len(server.told(Kind.STAGE)) == 20


def test_a_machine_that_was_too_slow_boots_again_but_not_for_ever(server: Server) -> None:
    def late(*, source: str = ADDRESS) -> int:
        nonce = server.ask("GET", f"/boot/{W1}.ipxe").text
        server.now += LIFETIME + 1
        return server.enrol(nonce, source=source).status_code

    assert [late() for _ in range(4)] == [410, 410, 410, 403]
    assert late() == 410, "switched off and on, it has its chances again"
    server.app_state.passing.forget(Mac.parse(W1))
    assert [late(source="10.77.0.99") for _ in range(9)] == [403] * 9, "others can't use them up"
    assert [late() for _ in range(4)] == [410, 410, 410, 403]


def test_what_is_final(server: Server) -> None:
    assert server.enrol("0" * 32).status_code == 403
    nonce = server.ask("GET", f"/boot/{W1}.ipxe").text
    assert server.enrol(nonce, mac="52:54:00:77:00:0b").status_code == 403
    assert server.enrol(nonce).status_code == 403, "no certificate request in it"
    assert "no profile" in server.told(Kind.ALARM)[-1]
    server.app_state.database.disarm()
    assert server.enrol(nonce).status_code == 403


def test_grub_gets_its_nonce_by_the_same_rules(server: Server) -> None:
    """Secure Boot: bound to MAC and address, replaced by the next script, counted like iPXE's."""
    assert server.ask("GET", "/grub/grub.cfg").text == "GRUB's entry"
    first = server.ask("GET", f"/grub/{W1}.cfg").text
    assert server.told(Kind.STAGE) == ["by GRUB"]
    assert server.ask("GET", f"/grub/{W1}.cfg", source=POOL).text == "take your address"
    assert server.ask("GET", f"/grub/{W1}.cfg?pool={POOL}", source=POOL).text == "no nonce"
    assert "it got no nonce" in server.told(Kind.ALARM)[-1]
    assert server.ask("HEAD", f"/grub/{W1}.cfg").status_code == 200
    second = server.ask("GET", f"/boot/{W1}.ipxe").text
    assert first != second
    assert server.enrol(first).status_code == 410, "iPXE's script replaced it"
    third = server.ask("GET", f"/grub/{W1}.cfg").text
    assert server.enrol(third, source="10.77.0.99").status_code == 403
    server.app_state.database.disarm()
    assert server.ask("GET", f"/grub/{W1}.cfg").text == "no nonce"
    assert "by GRUB; the lab is not armed" in server.told(Kind.STAGE)[-1]
    for _ in range(100):
        server.ask("GET", f"/grub/{W1}.cfg")
    assert len(server.told(Kind.STAGE)) <= 21


def test_grub_of_a_machine_that_is_not_known(server: Server) -> None:
    answer = server.ask("GET", f"/grub/{STRANGER}.cfg?platform=efi&manufacturer=Dell+Inc.&serial=%0a%1b")
    assert answer.text == "GRUB's menu"
    (told,) = server.told(Kind.UNKNOWN)
    assert told.startswith("manufacturer Dell Inc., serial ??, platform efi; to add it: nodisk machines adopt ")
    for malformed in ("52-54-00-99-00-2", "", "menu", "53:54:00:77:00:15"):
        assert server.ask("GET", f"/grub/{malformed}.cfg").status_code == 400
    for other in (f"{W1}.ipxe", "grub.cfg-amd64", "x86_64-efi"):
        assert server.ask("GET", f"/grub/{other}").status_code == 404


@pytest.mark.parametrize(
    ("engine", "body", "status", "says"),
    [
        ("none", KEY, 200, ""),
        ("none", f"{KEY}profile: kubelet-client\n{CSR}", 403, "no cluster to sign for"),
        ("kubeadm", KEY, 403, "no profile at all"),
    ],
)
def test_a_plain_machine_enrols_with_its_host_keys_alone(
    server: Server, engine: str, body: str, status: int, says: str
) -> None:
    kubernetes = LAB.kubernetes.model_copy(update={"engine": Engine(engine)})
    scripts = Scripts(LAB.model_copy(update={"kubernetes": kubernetes}))
    server.app_state.texts = cast("Texts", scripts)
    nonce = server.ask("GET", f"/boot/{W1.replace(':', '-')}.ipxe").text
    headers = {"Nodisk-Nonce": nonce, "Nodisk-Mac": W1}
    answer = server.ask("POST", "/enrol", headers=headers, content=body.encode())
    assert answer.status_code == status
    keys = server.app_state.database.host_keys(Mac.parse(W1))
    if says:
        assert (says in answer.text, keys) == (True, ())
    else:
        with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
            assert tar.getnames() == []  # nothing of the cluster's
        assert keys == (KEY.removeprefix("ssh-host-key: ").strip(),)
