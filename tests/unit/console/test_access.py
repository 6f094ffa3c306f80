"""Codes and sessions: once, in time, hashed, ended."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.records.console_access import LINK, LONGEST, SESSION, SESSIONS_EACH, ConsoleRole
from nodisk.records.database import Database


@dataclass
class Clock:
    now: float = 1000.0


@dataclass
class Records:
    database: Database
    clock: Clock


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    clock = Clock()
    with Database(tmp_path / "nodisk.db", now=lambda: clock.now) as database:
        yield Records(database, clock)


def test_a_code_signs_in_once(records: Records) -> None:
    access = records.database.console
    code = access.invite("anna", ConsoleRole.VIEWER, seconds=LINK)
    invited = access.invited(code)
    assert invited is not None
    assert invited.name == "anna"
    found = access.sign_in(code)
    assert found is not None
    token, session = found
    assert (session.name, session.role) == ("anna", ConsoleRole.VIEWER)
    assert access.session(token) == session
    assert access.invited(code) is None
    assert access.sign_in(code) is None


def test_time_ends_codes_and_sessions(records: Records) -> None:
    access, clock = records.database.console, records.clock
    late = access.invite("anna", ConsoleRole.VIEWER, seconds=LINK)
    clock.now += LINK
    assert access.sign_in(late) is None
    found = access.sign_in(access.invite("anna", ConsoleRole.VIEWER, seconds=LINK))
    assert found is not None
    clock.now += SESSION - 1
    assert access.session(found[0]) is not None
    clock.now += 1
    assert access.session(found[0]) is None
    assert access.sessions() == []


def test_a_new_invitation_replaces_the_one_before(records: Records) -> None:
    access = records.database.console
    first = access.invite("anna", ConsoleRole.ADMIN, seconds=LINK)
    second = access.invite("anna", ConsoleRole.VIEWER, seconds=LINK)
    assert access.invited(first) is None
    assert access.invited(second) is not None
    assert len(access.invitations()) == 1


def test_revoking_ends_everything_of_one_name(records: Records) -> None:
    access = records.database.console
    tokens = {}
    for name in ("anna", "jan"):
        found = access.sign_in(access.invite(name, ConsoleRole.VIEWER, seconds=LINK))
        assert found is not None
        tokens[name] = found[0]
    code = access.invite("anna", ConsoleRole.VIEWER, seconds=LINK)
    assert access.revoke("anna") == 2
    assert access.session(tokens["anna"]) is None
    assert access.sign_in(code) is None
    assert access.session(tokens["jan"]) is not None


def test_one_name_has_a_bounded_number_of_sessions(records: Records) -> None:
    access, tokens = records.database.console, []
    for _ in range(SESSIONS_EACH + 3):
        records.clock.now += 1
        found = access.sign_in(access.invite("anna", ConsoleRole.VIEWER, seconds=LINK))
        assert found is not None
        tokens.append(found[0])
    assert [access.session(token) is not None for token in tokens] == [False] * 3 + [True] * SESSIONS_EACH


def test_of_many_at_the_same_time_one_gets_in(records: Records) -> None:
    code = records.database.console.invite("anna", ConsoleRole.ADMIN, seconds=LINK)

    def use(_: int) -> bool:
        with Database(records.database.path, now=lambda: records.clock.now) as own:
            return own.console.sign_in(code) is not None

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(use, range(16))) == 1


def test_neither_code_nor_token_is_in_the_files(records: Records) -> None:
    access = records.database.console
    code = access.invite("jan", ConsoleRole.VIEWER, seconds=LINK)
    found = access.sign_in(access.invite("anna", ConsoleRole.VIEWER, seconds=LINK))
    assert found is not None
    kept = b"".join(path.read_bytes() for path in records.database.path.parent.glob("nodisk.db*"))
    assert b"anna" in kept
    assert code.encode() not in kept
    assert found[0].encode() not in kept


@given(st.text(max_size=LONGEST + 3))
def test_no_guess_is_more_than_wrong(guess: str) -> None:
    with TemporaryDirectory() as folder, Database(Path(folder) / "nodisk.db") as database:
        access = database.console
        access.invite("anna", ConsoleRole.ADMIN, seconds=LINK)
        assert access.invited(guess) is None
        assert access.sign_in(guess) is None
        assert access.session(guess) is None
