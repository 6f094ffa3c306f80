"""The console behind the real nginx: TLS by the lab's CA, a sign-in by command, and a page that is live."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.interop.server.rooms import STRANGER, Room
from tests.support.waits import until

from nodisk.classes import plan, record, sizes
from nodisk.classes.roster import Person
from nodisk.records.door import code_digest
from nodisk.records.events import Kind
from nodisk.values import Stage

pytestmark = pytest.mark.interop

BASE = "https://127.0.0.1:6445"
ROOT = Path(__file__).parents[3]


def test_sign_in_and_watch(room: Room) -> None:
    ca, jar = str(room.state.pki / "server-ca.crt"), str(room.folder / "cookies")
    # The console starts beside the server, which is ready without it.
    words = ["--cacert", ca, "--cookie", jar, "--cookie-jar", jar, "--retry", "20", "--retry-all-errors"]
    assert "Sign in" in room.curl(room.name, *words, "--fail", f"{BASE}/sign-in")
    link = json.loads(room.nodisk("console", "--output", "json").stdout)["link"]
    assert link.startswith(f"{BASE}/sign-in?code=")
    code = parse_qs(urlsplit(link).query)["code"][0]
    room.curl(
        room.name, *words, "--fail", "-H", f"Origin: {BASE}", "--data-urlencode", f"code={code}", f"{BASE}/sign-in"
    )
    machine = room.machine("w1")
    live = ["ip", "netns", "exec", room.name, "curl", "-sSN", *words[:4], "--max-time", "120", f"{BASE}/live"]
    with subprocess.Popen(live, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline() == "event: part\n"
        with room.database() as database:
            database.record(
                Kind.STAGE, "it broke", source="x", mac=machine.mac, machine="w1", boot_id="1", stage=Stage.FAILED
            )
        assert any("it broke" in line for line in watching.stdout)
        watching.terminate()


def test_a_console_that_starts_again_says_so(room: Room) -> None:
    """A page loads itself once more, a form that was sent is not sent twice."""
    socket = room.state.run / "console.sock"
    room.curl(room.name, *tls(room), "--retry", "20", "--retry-all-errors", "--fail", f"{BASE}/sign-in")
    away = socket.rename(socket.with_suffix(".away"))
    try:
        page = room.curl(room.name, *tls(room), "--include", f"{BASE}/")
        sent = room.curl(room.name, *tls(room), "--include", "--data", "code=x", f"{BASE}/sign-in")
    finally:
        away.rename(socket)
    for answer in (page, sent):
        assert " 503 " in answer.splitlines()[0]
        assert "The server is starting again" in answer
    assert "Refresh: 2\n" in page.replace("\r", "")
    assert "Refresh" not in sent


def tls(room: Room) -> list[str]:
    return ["--cacert", str(room.state.pki / "server-ca.crt")]


def test_a_machine_is_switched(room: Room) -> None:
    """By the command itself, in the server's own network: a packet goes out, and no more is known."""
    jar = room.folder / "switching"
    words = ["--cacert", str(room.state.pki / "server-ca.crt"), "--cookie", str(jar), "--cookie-jar", str(jar)]
    words += ["--fail", "--retry", "20", "--retry-connrefused", "-H", f"Origin: {BASE}"]
    link = json.loads(room.nodisk("console", "--output", "json").stdout)["link"]
    code = parse_qs(urlsplit(link).query)["code"][0]
    room.curl(room.name, *words, "--data-urlencode", f"code={code}", f"{BASE}/sign-in")
    asked = room.curl(room.name, *words, f"{BASE}/switch?action=wake&machine=w1")
    assert "nodisk power wake w1" in asked
    token = re.search(r'name="token" value="([0-9a-f]{64})"', asked)
    assert token is not None
    data = ["--data-urlencode", f"token={token[1]}", "--data-urlencode", "count=1"]
    said = ["--write-out", "%{redirect_url}", "--output", "/dev/null"]
    place = room.curl(room.name, *words, *data, *said, f"{BASE}/switch?action=wake&machine=w1")
    number = place.rpartition("/switched/")[2]
    # The stream ends with the command.
    told = room.curl(room.name, *words, "--max-time", "120", f"{BASE}/live?switched={number}")
    assert told.endswith("event: over\ndata: \n\n")
    assert "asked: <strong>1</strong>" in told, told
    with room.database() as database:
        told_of = [event.detail for event in database.events(kinds=(Kind.DAEMON,))]
    assert "console: root (admin): nodisk power wake w1" in told_of
    assert "console: root (admin): nodisk power wake w1: 1 asked" in told_of


def test_a_terminal_s_websocket_gets_through(room: Room) -> None:
    """nginx passes the upgrade on, and only at that path; behind it is no cluster here, which the page is told."""
    student = plan.merge(
        None, [Person("Jan Kowalski")], name="shells", now=record.now(), size=sizes.find("small"), role="edit"
    ).record
    record.save(room.state, student)
    jan = student.students[0]
    with room.database() as database:
        digest = code_digest("ABCD2345", database.door.salted("shells"))
        database.door.issue("shells", {jan.key: digest}, ends=time.time() + 600)
        token = database.door.enter_first("shells", jan.key, digest, "00:kept", credential=jan.credential)
    trusted = ["--cacert", str(room.state.pki / "server-ca.crt")]
    room.curl(room.name, *trusted, "--retry", "60", "--retry-connrefused", "--retry-delay", "1", f"{BASE}/door")
    # Nobody ends a WebSocket that was opened: the first line is enough.
    words = [*trusted, "--http1.1", "--dump-header", "-", "--output", "/dev/null", "-H", "Connection: Upgrade"]
    words += [
        "-H",
        "Upgrade: websocket",
        "-H",
        "Sec-WebSocket-Version: 13",
        "-H",
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
    ]
    words += ["-H", f"Cookie: __Host-nodisk-door-test={token}"]

    def asked(origin: str, path: str = "/door/shells/terminal/socket") -> str:
        argv = ["ip", "netns", "exec", room.name, "curl", "-sS", *words, "-H", f"Origin: {origin}", f"{BASE}{path}"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as curl:
            assert curl.stdout is not None
            first = curl.stdout.readline()
            curl.kill()
        return first.decode().rstrip("\r\n")

    assert asked(BASE) == "HTTP/1.1 101 Switching Protocols"
    assert asked("https://evil.example") == "HTTP/1.1 403 Forbidden"
    assert asked(BASE, "/door/shells/terminal") == "HTTP/1.1 200 OK"


def test_a_class_of_a_hundred_behind_one_address(room: Room) -> None:
    """Each has a terminal and a page that is live, while one of their computers asks for whatever it can."""
    people = [Person(f"Student {number}") for number in range(100)]
    found = plan.merge(
        None, people, name="hundred", now=record.now(), size=sizes.find("small"), role="edit", terminals=True
    ).record
    record.save(room.state, found)
    tokens = []
    with room.database() as database:
        for student in found.students:
            digest = f"digest of {student.label}"
            database.door.issue("hundred", {student.key: digest}, ends=time.time() + 600)
            entered = database.door.enter_first(
                "hundred", student.key, digest, "00:kept", credential=student.credential
            )
            tokens.append(entered)
    trusted = str(room.state.pki / "server-ca.crt")
    room.curl(
        room.name, "--cacert", trusted, "--retry", "60", "--retry-connrefused", "--retry-delay", "1", f"{BASE}/door"
    )
    argv = ["ip", "netns", "exec", room.name, sys.executable, "-m", "tests.interop.server.hundred", BASE, trusted]
    said = subprocess.run(
        argv, input=json.dumps(tokens), text=True, check=True, stdout=subprocess.PIPE, timeout=300, cwd=ROOT
    )
    assert json.loads(said.stdout) == {
        "sockets": {"101": 100},
        "live": {"200": 100},
        "pages": {"200": 100},
        "strangers": {"401": 300},
        "a fifth live page of one": 503,
    }


def test_ten_thousand_connections_that_say_nothing(room: Room) -> None:
    """They take nobody's place: the door and the machines' pages are answered meanwhile, in seconds."""
    trusted = str(room.state.pki / "server-ca.crt")
    room.curl(
        room.name, "--cacert", trusted, "--retry", "60", "--retry-connrefused", "--retry-delay", "1", f"{BASE}/door"
    )
    words = ["tests.interop.server.many_connections", "10000", "127.0.0.1", "6445", trusted]
    argv = ["ip", "netns", "exec", room.name, sys.executable, "-m", *words]
    said = json.loads(subprocess.run(argv, text=True, check=True, stdout=subprocess.PIPE, timeout=600, cwd=ROOT).stdout)
    assert said["open"] == 10_000
    assert set(said["door"]) == {200}
    assert set(said["machines"]) == {200}
    assert said["slowest"] < 30


def test_nobody_reaches_it_over_the_segment(room: Room) -> None:
    found = subprocess.run(
        ["ip", "netns", "exec", f"{room.name}-w1", "curl", "-sk", "--max-time", "10", "https://10.99.0.1:6445/"],
        check=False,
    )
    assert found.returncode == 7  # refused


def test_an_unknown_machine_is_adopted(room: Room) -> None:
    """The answer comes through before the server reads lab.yaml again, and soon the room's pages show the machine."""
    jar, mac = room.folder / "adopting", STRANGER[0]
    words = ["--cacert", str(room.state.pki / "server-ca.crt"), "--cookie", str(jar), "--cookie-jar", str(jar)]
    words += ["--fail", "--retry", "60", "--retry-connrefused", "--retry-delay", "1", "-H", f"Origin: {BASE}"]
    link = json.loads(room.nodisk("console", "--output", "json").stdout)["link"]
    code = parse_qs(urlsplit(link).query)["code"][0]
    room.curl(room.name, *words, "--data-urlencode", f"code={code}", f"{BASE}/sign-in")
    script = f"http://10.99.0.1/boot/{mac.replace(':', '-')}.ipxe?product=OptiPlex"
    room.curl(f"{room.name}-stranger", script)
    assert "OptiPlex" in room.curl(room.name, *words, f"{BASE}/unknown")
    asked = room.curl(room.name, *words, f"{BASE}/unknown/adopt?mac={mac}&name=teacher")
    token = re.search(r'name="token" value="([0-9a-f]{64})"', asked)
    assert token is not None
    adopt = ["--data-urlencode", f"token={token[1]}", f"{BASE}/unknown/adopt?mac={mac}&name=teacher"]
    assert "teacher" in room.curl(room.name, *words, *adopt)
    # Of lab.yaml before the reload there is no such machine.
    page = room.curl(room.name, *words, "--retry-all-errors", f"{BASE}/machine/teacher")
    assert mac in page
    assert "nodisk: teacher takes its address" in room.curl(f"{room.name}-stranger", script)


def done(room: Room, words: list[str], number: int) -> Any:
    """An order when it is done, asked for by curl with these words."""

    def order() -> Any:
        return json.loads(room.curl(room.name, *words, f"{BASE}/api/orders/{number}"))

    until(lambda: order()["done"], every=0.1, why=order)
    return order()


def test_a_program_asks_with_a_token(room: Room) -> None:
    """Through nginx; what it orders is the command itself."""
    token = room.nodisk("console", "token", "dashboard", "--role", "admin").stdout.strip()
    words = ["--cacert", str(room.state.pki / "server-ca.crt"), "--retry", "20", "--retry-connrefused", "--fail"]
    words += ["-H", f"Authorization: Bearer {token}"]
    assert json.loads(room.curl(room.name, *words, f"{BASE}/api/status"))["lab"] == "test"
    body = ["--json", '{"action": "wake", "machines": ["w1"]}']
    order = json.loads(room.curl(room.name, *words, *body, f"{BASE}/api/switch"))
    order = done(room, words, order["number"])
    assert [(one["name"], one["outcome"]) for one in order["came"]] == [("w1", "asked")]
    assert room.nodisk("console", "revoke", "dashboard").returncode == 0
    status = ["--output", "/dev/null", "--write-out", "%{http_code}"]
    assert room.curl(room.name, *words[:-3], *words[-2:], *status, f"{BASE}/api/status") == "401"


def test_a_program_makes_codes(room: Room) -> None:
    """Through nginx, by a teacher's token: the codes are in one answer, and each opens the door."""
    people = [Person("Jan Kowalski"), Person("Ewa Żak")]
    planned = plan.merge(
        None, people, name="coded", now=record.now(), size=sizes.find("small"), role="edit", teachers=("Anna Nowak",)
    ).record
    record.save(room.state, planned.model_copy(update={"out": str(room.folder / "coded")}))
    token = room.nodisk("console", "token", "Anna Nowak", "--role", "teacher").stdout.strip()
    words = ["--cacert", str(room.state.pki / "server-ca.crt"), "--retry", "20", "--retry-connrefused", "--fail"]
    bearer = [*words, "-H", f"Authorization: Bearer {token}"]
    body = ["--json", '{"action": "codes", "all": true}']
    order = json.loads(room.curl(room.name, *bearer, *body, f"{BASE}/api/classes/coded/codes"))
    assert order["command"] == "nodisk class codes coded --print"
    done(room, bearer, order["number"])
    taken = json.loads(room.curl(room.name, *bearer, "--request", "POST", f"{BASE}/api/classes/coded/cards"))
    assert [one["login"] for one in taken["cards"]] == ["jan-kowalski", "ewa-zak"]
    phrase = ["--data-urlencode", "passphrase=cztery słowa na dziś", "--data-urlencode", "again=cztery słowa na dziś"]
    code = ["--data-urlencode", f"code={taken['cards'][1]['code']}", *phrase, "-H", f"Origin: {BASE}"]
    jar = ["--cookie-jar", str(room.folder / "coded-student")]
    room.curl(room.name, *words, *jar, *code, f"{BASE}/door/coded/first")
    told = json.loads(room.curl(room.name, *bearer, f"{BASE}/api/classes/coded"))
    assert [one["door"] for one in told["members"]] == ["code not used yet", "has a passphrase"]
    assert not told["cards"]


def test_a_student_comes_in_by_the_door(room: Room) -> None:
    """Through nginx, from a code of the command to the student's page; and a code is good once."""
    people = [Person("Jan Kowalski"), Person("Ewa Żak")]
    planned = plan.merge(None, people, name="k8s", now=record.now(), size=sizes.find("small"), role="edit").record
    record.save(room.state, planned)
    made = json.loads(room.nodisk("class", "codes", "k8s", "--output", "json").stdout)
    assert made["address"] == f"{BASE}/door/k8s"
    code = made["students"][0]["code"]
    jar = str(room.folder / "student")
    words = ["--cacert", str(room.state.pki / "server-ca.crt"), "--cookie", jar, "--cookie-jar", jar]
    words += ["--retry", "20", "--retry-connrefused", "-H", f"Origin: {BASE}"]
    phrase = ["--data-urlencode", "passphrase=cztery słowa na dziś", "--data-urlencode", "again=cztery słowa na dziś"]
    first = ["--data-urlencode", f"code={code}", *phrase, f"{BASE}/door/k8s/first"]
    room.curl(room.name, *words, "--fail", *first)
    page = room.curl(room.name, *words, "--fail", f"{BASE}/door/k8s")
    assert "Jan Kowalski" in page
    assert "the API does not answer" in page  # nobody runs one here
    status = ["--output", "/dev/null", "--write-out", "%{http_code}"]
    assert room.curl(room.name, *words, *status, *first) == "403"
    assert "sign in first" in room.curl(room.name, *words, "--location", f"{BASE}/")  # nobody of the console
