"""What others may try at the console: each of it has a test."""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.hostile import EVIL, Found, texts
from tests.support.waits import until_async
from tests.unit.console.consoles import HOST, W1, Room, room_in

from nodisk.console import live, pages, security
from nodisk.records import printed
from nodisk.records.console_access import ConsoleRole
from nodisk.records.events import Kind
from nodisk.values import Stage

PAGES = (
    "/",
    "/live",
    "/machine/w1",
    "/activity",
    "/api/status",
    "/switch?action=off&machine=w1",
    "/reports",
    "/backups",
)


@pytest.mark.parametrize("path", PAGES)
def test_nobody_sees_anything_without_signing_in(room: Room, path: str) -> None:
    room.report(Stage.ROOTFS)
    for cookies in ({}, {security.cookie_name(room.console.lab): "A" * 32}):
        answer = room.browser(cookies=cookies).get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
        assert "w1" not in answer.text
        refused = room.browser(cookies=cookies).get(path, headers={"Accept": "application/json"})
        assert refused.status_code == 401
        assert "w1" not in refused.text


def test_a_viewer_sees_the_room_and_not_who_else_is_there(room: Room) -> None:
    viewer = room.browser().sign_in("jan", ConsoleRole.VIEWER)
    assert viewer.get("/").status_code == 200
    assert viewer.get("/activity").status_code == 403
    assert "console: jan (viewer) was refused /activity" in room.told(Kind.DAEMON)
    assert "/activity" not in viewer.get("/").text
    assert room.browser().sign_in("anna").get("/activity").status_code == 200


@pytest.mark.parametrize("path", [*PAGES, "/sign-in", "/static/live.js", "/static/none", "/nothing", "/machine/none"])
def test_every_answer_has_the_guarding_headers(room: Room, path: str) -> None:
    room.console.stopping.set()
    for browser in (room.browser(), room.browser().sign_in()):
        headers = browser.get(path).headers
        for name, value in security.HEADERS.items():
            if name != "cache-control":
                assert headers[name] == value, name
        assert "unsafe" not in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert path.startswith("/static") or headers["cache-control"] == "no-store"


def test_an_error_inside_tells_nothing_and_is_guarded(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> str:
        raise RuntimeError("a secret")

    browser = room.browser().sign_in()
    monkeypatch.setattr(pages, "page", broken)
    answer = browser.get("/")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"http://{HOST}", f"https://{HOST}.evil", ""])
@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
def test_forms_of_other_sites(room: Room, origin: str, path: str) -> None:
    browser = room.browser().sign_in()
    token, code = browser.token, room.database.console.invite("jan", ConsoleRole.VIEWER, seconds=60)
    data = {"code": code, "token": security.form_token(token)}
    assert browser.post(path, data=data, headers={"Origin": origin}).status_code == 403
    assert browser.token == token
    assert room.database.console.session(token) is not None
    assert room.database.console.invited(code) is not None


def test_a_form_needs_its_own_session_s_token(room: Room) -> None:
    browser, other = room.browser().sign_in("anna"), room.browser().sign_in("jan")
    for token in (
        "",
        "x",
        security.form_token(other.token),
        browser.token,
        "ą\udcff".encode("utf-8", "replace").decode(),
    ):
        assert browser.post("/sign-out", data={"token": token}).status_code == 403
    assert room.database.console.session(browser.token) is not None
    page = browser.get("/").text
    found = re.search(r'name="token" value="([0-9a-f]{64})"', page)
    assert found is not None
    assert browser.post("/sign-out", data={"token": found[1]}).status_code == 303
    assert browser.token in ("", '""')
    assert room.database.console.sessions() == [one for one in room.database.console.sessions() if one.name == "jan"]


def test_a_session_that_somebody_else_fixed_is_not_used(room: Room) -> None:
    name = security.cookie_name(room.console.lab)
    fixed = "attackers-own-token-of-32-letters"
    browser = room.browser(cookies={name: fixed}).sign_in()
    assert browser.token != fixed
    assert room.database.console.session(fixed) is None
    # Signing in again ends the session before, and the new one is another.
    before = browser.token
    browser.sign_in("anna")
    assert browser.token != before
    assert room.database.console.session(before) is None


def test_the_cookie_is_only_for_the_server(room: Room) -> None:
    code = room.database.console.invite("anna", ConsoleRole.ADMIN, seconds=60)
    cookie = room.browser().post("/sign-in", data={"code": code}).headers["set-cookie"].lower()
    assert cookie.startswith("__host-nodisk-room=")
    for word in ("httponly", "secure", "samesite=strict", "path=/"):
        assert word in cookie
    assert "domain" not in cookie


def test_looking_at_a_link_uses_nothing_up(room: Room) -> None:
    code = room.database.console.invite("anna", ConsoleRole.ADMIN, seconds=60)
    page = room.browser().get(f"/sign-in?code={code}")
    assert page.status_code == 200
    assert "anna" in page.text
    assert "set-cookie" not in page.headers
    assert room.browser().post("/sign-in", data={"code": code}).status_code == 303
    assert room.browser().post("/sign-in", data={"code": code}).status_code == 403


def test_guessing_is_slow_recorded_and_hinders_no_other(room: Room) -> None:
    attacker = room.browser(address="10.77.0.66")
    answers = [attacker.post("/sign-in", data={"code": f"guess{number}"}).status_code for number in range(20)]
    assert answers[:5] == [403] * 5
    assert set(answers[5:]) == {429}
    assert attacker.get("/sign-in?code=guess").status_code == 429
    assert len(room.told(Kind.ALARM)) == 5
    assert room.browser(address="10.77.0.50").sign_in().get("/").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:6445", "10.77.0.1.evil", "", "[::1]", "10.77.0.1:x"])
def test_a_name_that_was_bound_anew(room: Room, host: str) -> None:
    assert room.browser().get("/sign-in", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/static/..%2f..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/static/console.css%00.js",
        "/machine/..%2f..%2fetc%2fpasswd",
        "/machine/%00",
    ],
)
def test_paths_lead_nowhere_else(room: Room, path: str) -> None:
    assert room.browser().sign_in().get(path).status_code == 404


def test_a_long_or_strange_form(room: Room) -> None:
    assert room.browser().post("/sign-in", content=b"code=" + b"a" * 5000).status_code == 413
    assert room.browser().post("/sign-in", content=b"\xff\xfe").status_code == 400
    assert room.browser(address="10.77.0.51").post("/sign-in", content=b"&".join([b"a=1"] * 60)).status_code == 400


def test_many_open_pages(room: Room) -> None:
    browser = room.browser().sign_in()
    room.console.streams = live.MOST_STREAMS
    assert browser.get("/live").status_code == 503
    assert browser.get("/").status_code == 200


def test_a_page_that_is_open_gets_nothing_more_after_the_session(room: Room) -> None:
    browser = room.browser().sign_in()
    room.report(Stage.ROOTFS)

    async def watch() -> str:
        asking = asyncio.create_task(browser.send("GET", "/live"))
        await until_async(lambda: room.console.snapshot.number, why="the room was not read")
        room.database.console.revoke("anna")
        answer = await asyncio.wait_for(asking, 30)
        assert answer.headers["content-type"].startswith("text/event-stream")
        return answer.text

    text = asyncio.run(watch())
    assert text.startswith("event: part\ndata: ")
    assert text.endswith("event: end\ndata: \n\n")
    assert "rootfs" in text
    assert room.console.streams == 0


@settings(max_examples=25)
@given(texts(80), texts(30))
@example(EVIL[0], EVIL[1])
@example(EVIL[1], EVIL[4])
@example(EVIL[6], EVIL[7])
@example(EVIL[7], EVIL[6])
@example(EVIL[3], EVIL[5])
def test_what_machines_say_stays_text(detail: str, name: str) -> None:
    """A serial number, a host name, a failure's reason, a person's name: whatever it is, the page has the same tags."""
    shapes = []
    for said, who in ((detail or "x", name or "x"), ("plain", "plain")):
        with tempfile.TemporaryDirectory() as folder, room_in(Path(folder)) as room:
            room.report(Stage.FAILED, said, boot_id=said)
            room.database.printed.put(W1, printed.lines(f"x{said}"))
            room.database.record(Kind.UNKNOWN, said, source=said, mac=W1)
            browser = room.browser().sign_in(who)
            shapes.append([Found(browser.get(path).text).tags for path in ("/", "/machine/w1", "/activity")])
    assert shapes[0] == shapes[1]


@given(st.text(max_size=200))
@example("a\n\nevent: end\ndata: b")
@example("a\r\rb\u2028c\x85d\x0be")
def test_no_text_leaves_its_event(text: str) -> None:
    event = live.event("part", text)
    assert event.startswith("event: part\n")
    assert event.endswith("\n\n")
    # Lines end at CR, LF or both (HTML Living Standard, 9.2.6).
    lines = re.split(r"\r\n|\r|\n", event.removesuffix("\n\n"))
    assert lines[0] == "event: part"
    assert all(line.startswith("data: ") for line in lines[1:])
