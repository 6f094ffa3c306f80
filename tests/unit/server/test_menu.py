"""What a machine starts: its menu, what it asks for, what it is to start next; and the menu's password."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.errors import IntegrityError, UsageError
from nodisk.pki.authority import Authority
from nodisk.records import menu_password, nonces
from nodisk.records.database import Database
from nodisk.records.events import Kind
from nodisk.records.next_boots import NextBoot, over
from nodisk.server.app import application
from nodisk.server.handlers.common import AppState
from nodisk.server.limits import Limits, RateLimit
from nodisk.server.texts import Texts
from nodisk.spec.model import Lab
from nodisk.values import Mac

W1, STRANGER, ADDRESS = "52:54:00:77:00:15", "02:00:00:00:00:99", "10.77.0.21"
MAC = Mac.parse(W1)
SCRIPT, GRUB = f"/boot/{W1}.ipxe", f"/grub/{W1}.cfg"
PASSWORD = "correct horse & +b=a%ttery"
URL = "http://10.77.0.9/rescue.ipxe"


def lab(**menu: Any) -> Lab:
    entries = [{"name": "debian", "url": "http://10.77.0.9/d.efi"}, {"name": "rescue", "url": URL, "password": True}]
    machine = {"name": "w1", "mac": W1, "address": ADDRESS}
    control = {"name": "cp1", "mac": "52:54:00:77:00:0b", "address": "10.77.0.11", "role": "control-plane"}
    network = {"subnet": "10.77.0.0/24", "server": "10.77.0.1"}
    made = {"name": "room", "network": network, "menu": {"entries": entries, **menu}, "machines": [control, machine]}
    return Lab.model_validate(made)


class PlainTexts(Texts):
    """The plan's own texts, but for the lab's script, which needs an image."""

    def script(self, machine: object, nonce: str | None) -> str:
        return f"the lab, {'armed' if nonce else 'unarmed'}"

    grub_script = script


@dataclass
class Server:
    """The application, asked as nginx asks it."""

    app_state: AppState
    now: float = 1000.0
    clocks: list[RateLimit] = field(default_factory=list)

    def ask(self, path: str = SCRIPT, method: str = "GET", *, source: str = ADDRESS, **how: Any) -> httpx2.Response:
        async def send() -> httpx2.Response:
            transport = httpx2.ASGITransport(application(self.app_state))
            async with httpx2.AsyncClient(transport=transport, base_url="http://server") as client:
                headers = {"X-Real-IP": source, **how.pop("headers", {})}
                return await client.request(method, path, headers=headers, **how)

        return asyncio.run(send())

    def login(self, entry: str, password: str, *, path: str = SCRIPT, source: str = ADDRESS) -> httpx2.Response:
        return self.ask(f"{path}?entry={entry}", source=source, auth=("nodisk", password))

    def told(self, kind: Kind = Kind.STAGE) -> list[str]:
        return [event.detail for event in self.app_state.database.events(kinds=(kind,))]

    def serves(self, **menu: Any) -> None:
        self.app_state.texts = PlainTexts(lab(**menu), cast("Any", None), {}, {})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Database(tmp_path / "nodisk.db", now=lambda: made.now) as database:
        texts, password = PlainTexts(lab(), cast("Any", None), {}, {}), tmp_path / "password.json"
        made = Server(AppState(texts, cast("Authority", None), database, menu_password=password))
        limits: Limits = made.app_state.limits
        for limit in (limits.alarms.limit, limits.sightings, limits.passwords, limits.all_passwords):
            limit.now = lambda: made.now
        database.arm(nonces.FOREVER)
        yield made


def test_without_a_menu_everything_is_as_ever(server: Server) -> None:
    assert server.ask().text == "the lab, armed"
    assert server.ask(GRUB).text == "the lab, armed"
    assert server.told() == ["", "by GRUB"]


@pytest.mark.parametrize("path", [SCRIPT, GRUB])
def test_a_menu_has_no_nonce_and_the_lab_chosen_in_it_has(server: Server, path: str) -> None:
    server.serves(timeout=10)
    shown = server.ask(f"{path}?boot=new").text
    assert "debian" in shown
    assert "armed" not in shown
    assert URL not in shown
    assert server.app_state.database.served(MAC) == {}
    assert server.ask(f"{path}?entry=lab").text == "the lab, armed"
    assert [words.removeprefix("by GRUB; ") for words in server.told()] == [
        "its menu, for 10 s; then lab",
        "lab, chosen in its menu",
    ]
    assert server.ask(f"{path}?entry=menu").text == shown


@pytest.mark.parametrize("path", [SCRIPT, GRUB])
def test_a_default_without_a_menu_starts_at_once(server: Server, path: str) -> None:
    server.serves(default="disk")
    assert "no disk of this machine" in server.ask(path).text or "sanboot" in server.ask(path).text
    assert server.told()[0].endswith("disk, its default")


@pytest.mark.parametrize("entry", ["reboot", "nothing", "../x", "%00"])
@pytest.mark.parametrize("path", [SCRIPT, GRUB])
def test_what_cannot_be_had_by_asking(server: Server, path: str, entry: str) -> None:
    server.serves(timeout=10)
    assert server.ask(f"{path}?entry={entry}").status_code == 404


def test_others_use_nothing_up(server: Server) -> None:
    server.app_state.database.next_boots.set(MAC, "disk", once=True)
    assert server.ask(source="10.77.0.1").text == "the lab, unarmed"
    assert server.ask(method="HEAD").status_code == 200
    assert server.ask(source="10.77.0.150").text.startswith("#!ipxe\nisset")
    assert server.ask(f"{SCRIPT}?entry=lab").text == "the lab, armed", "somebody chose it at the machine"
    assert server.app_state.database.next_boots.all()[MAC].served is None


def test_once_is_for_one_boot_and_for_all_of_it(server: Server) -> None:
    server.app_state.database.next_boots.set(MAC, "disk", once=True)
    for query in ("?boot=new", "", "?boot=same", "?busid=x"):
        assert "sanboot" in server.ask(SCRIPT + query).text, query
        server.now += 5
    assert server.told()[-1] == "disk, once, as next-boot says"
    assert server.ask(f"{SCRIPT}?boot=new").text == "the lab, armed"
    assert server.ask(SCRIPT).text == "the lab, armed"
    assert server.app_state.database.next_boots.all() == {}


def test_a_machine_that_never_says_that_it_boots_anew(server: Server) -> None:
    server.app_state.database.next_boots.set(MAC, "disk", once=True)
    assert "sanboot" in server.ask().text
    server.now += nonces.LIFETIME + 1
    assert server.ask().text == "the lab, armed"


def test_until_cleared(server: Server) -> None:
    boots = server.app_state.database.next_boots
    boots.set(MAC, "disk", once=False)
    for _ in range(3):
        assert "sanboot" in server.ask(f"{SCRIPT}?boot=new").text
        server.now += 10_000
    assert boots.clear(MAC)
    assert not boots.clear(MAC)
    assert server.ask(f"{SCRIPT}?boot=new").text == "the lab, armed"


def test_it_is_known_who_runs_something_else(server: Server) -> None:
    """Who only asks, or is shown the menu, runs nothing else yet."""
    database = server.app_state.database
    assert server.ask(f"{SCRIPT}?entry=menu").status_code == 200
    server.ask(f"{SCRIPT}?entry=disk", source="10.77.0.150")
    assert database.elsewhere.all() == {}
    server.ask(f"{SCRIPT}?entry=disk")
    assert {mac: one.entry for mac, one in database.elsewhere.all().items()} == {MAC: "disk"}
    server.ask(f"{SCRIPT}?boot=new")
    assert database.elsewhere.all() == {}


def test_an_entry_that_lab_yaml_lost_is_ignored_and_told(server: Server) -> None:
    server.app_state.database.next_boots.set(MAC, "rescue", once=True)
    assert server.ask(f"{SCRIPT}?boot=new").text == "the lab, armed"
    told = [event.detail for event in server.app_state.database.events(mac=MAC, kinds=(Kind.DAEMON,))]
    assert told == ["next boot: the menu has no entry rescue any more; it gets its default"]


def test_of_two_boots_at_once_one_gets_what_is_for_one(tmp_path: Path) -> None:
    """Two machines with one MAC, or two servers' workers: each with a connection of its own."""
    path = tmp_path / "nodisk.db"
    for _ in range(20):
        with Database(path) as database:
            database.next_boots.set(MAC, "disk", once=True)
        found: list[NextBoot | None] = []
        together = threading.Barrier(4)

        def boot(found: list[NextBoot | None] = found, together: threading.Barrier = together) -> None:
            with Database(path) as database:
                together.wait()
                found.append(database.next_boots.serve(MAC, begins=True))

        threads = [threading.Thread(target=boot) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len([wish for wish in found if wish is not None]) == 1


@given(st.booleans(), st.none() | st.floats(0, 1e6), st.booleans(), st.floats(0, 1e6))
def test_when_a_wish_is_over(once: bool, served: float | None, begins: bool, now: float) -> None:
    found = over(NextBoot("disk", once, 0.0, served), begins=begins, now=now)
    if not once or served is None:
        assert not found
    elif begins:
        assert found
    else:
        assert found is not (0 <= now - served <= nonces.LIFETIME)


# The password


def test_the_password_opens_what_asks_for_it(server: Server) -> None:
    menu_password.save(cast("Path", server.app_state.menu_password), PASSWORD)
    assert "shell" in server.login("shell", PASSWORD).text.split()
    assert URL in server.login("rescue", PASSWORD).text
    assert "d.efi" in server.login("debian", PASSWORD).text, "it needs none"
    for entry in ("shell", "rescue"):
        asked = server.ask(f"{SCRIPT}?entry={entry}")
        assert (asked.status_code, asked.headers["www-authenticate"]) == (401, 'Basic realm="nodisk"')
        assert server.ask(f"{GRUB}?entry={entry}", auth=("nodisk", PASSWORD)).status_code == 404, "GRUB can't ask"
    assert server.told(Kind.DAEMON)[:2] == ["shell of the menu, by password", "rescue of the menu, by password"]


def test_a_wrong_password_opens_nothing(server: Server) -> None:
    assert server.login("shell", PASSWORD).status_code == 403, "none is set"
    menu_password.save(cast("Path", server.app_state.menu_password), PASSWORD)
    for wrong in ("", PASSWORD[:-1], PASSWORD + "x", "x" * 300):
        answer = server.login("shell", wrong, source=f"10.77.0.{30 + len(wrong) % 100}")
        assert answer.status_code == 403
        assert "shell\n" not in answer.text
    assert PASSWORD[:-1] not in str(server.told(Kind.DAEMON))


def test_tries_are_limited_also_right_ones(server: Server) -> None:
    menu_password.save(cast("Path", server.app_state.menu_password), PASSWORD)
    assert [server.login("shell", "wrong word").status_code for _ in range(6)] == [403] * 5 + [429]
    assert server.login("shell", PASSWORD).status_code == 429
    assert server.login("shell", PASSWORD, source="10.77.0.11").status_code == 200, "others may"
    assert "many tries of the menu's password" in server.told(Kind.ALARM)[0]
    server.now += 20
    assert server.login("shell", PASSWORD).status_code == 200
    assert server.login("shell", PASSWORD).status_code == 429


def test_all_addresses_together_are_limited(server: Server) -> None:
    found = [server.login("shell", "wrong", source=f"10.77.1.{number}").status_code for number in range(60)]
    assert found == [403] * 40 + [429] * 20


def test_a_machine_that_is_not_known_gets_the_shell_only(server: Server) -> None:
    menu_password.save(cast("Path", server.app_state.menu_password), PASSWORD)
    path = f"/boot/{STRANGER}.ipxe"
    assert server.login("shell", PASSWORD, path=path).text == "#!ipxe\nclear password ||\nshell ||\nreboot\n"
    assert server.login("rescue", PASSWORD, path=path).status_code == 404


@pytest.mark.parametrize("header", ["", "Basic", "Basic !", "Basic eA==", "Bearer x", "Basic " + "eDp4" * 200])
def test_what_is_no_password_at_all(server: Server, header: str) -> None:
    answer = server.ask(f"{SCRIPT}?entry=shell", headers={"Authorization": header})
    assert answer.status_code == 400
    assert server.ask(SCRIPT, "POST").status_code == 405


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=64))
def test_a_password_is_read_back(password: str) -> None:
    header = "Basic " + base64.b64encode(f"nodisk:{password}".encode()).decode()
    assert menu_password.given(header) == password.encode()


@given(st.text(max_size=300) | st.binary(max_size=200).map(lambda data: "Basic " + base64.b64encode(data).decode()))
def test_no_header_does_more_than_be_refused(header: str) -> None:
    menu_password.given(header)


def test_what_is_kept_is_a_hash_that_only_root_reads(tmp_path: Path) -> None:
    file = tmp_path / "password.json"
    assert not menu_password.right(file, b"x")
    menu_password.save(file, PASSWORD)
    assert file.stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in file.read_text()
    assert menu_password.right(file, PASSWORD.encode())
    first = file.read_text()
    menu_password.save(file, PASSWORD)
    assert file.read_text() != first, "salted"
    for bad in ("{}", "", '{"scrypt": [1, 1, 1], "salt": "", "hash": ""}', "[]"):
        file.write_text(bad)
        with pytest.raises(IntegrityError):
            menu_password.right(file, b"x")
    assert menu_password.forget(file)
    assert not menu_password.forget(file)


@pytest.mark.parametrize(
    "password", ["", "short", "x" * 65, "with a $ign", "z\u00f3\u0142\u0107 jest", "tab\tand more", "line\nline"]
)
def test_what_can_be_no_password(tmp_path: Path, password: str) -> None:
    with pytest.raises(UsageError):
        menu_password.save(tmp_path / "password.json", password)


def test_a_damaged_file_opens_nothing(server: Server) -> None:
    cast("Path", server.app_state.menu_password).write_text("{}")
    assert server.login("shell", PASSWORD).status_code == 403
