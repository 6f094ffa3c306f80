"""Codes, passphrases and sessions of students: once, in time, hashed, ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nodisk.records import door
from nodisk.records.database import Database

KEPT = "00:kept"  # these tests are about rows; what is kept of a passphrase has tests of its own


@dataclass
class Clock:
    now: float = 1000.0


@dataclass
class Records:
    database: Database
    clock: Clock

    @property
    def door(self) -> door.Door:
        return self.database.door

    def enter(self, account: str = "jan", class_name: str = "k8s", **more: int) -> str:
        """A session by a code."""
        digest = f"digest of {account}"
        self.door.issue(class_name, {account: digest}, ends=self.clock.now + 60)
        token = self.door.enter_first(class_name, account, digest, KEPT, credential=more.get("credential", 1))
        assert token is not None
        return token


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    clock = Clock()
    with Database(tmp_path / "nodisk.db", now=lambda: clock.now) as database:
        yield Records(database, clock)


def test_a_code_counts_once_and_in_its_class(records: Records) -> None:
    records.door.issue("k8s", {"jan": "d1", "ewa": "d2"}, ends=2000)
    assert records.door.whose("k8s", "d1") == "jan"
    assert records.door.whose("physics", "d1") is None
    assert records.door.enter_first("physics", "jan", "d1", KEPT, credential=1) is None
    assert records.door.enter_first("k8s", "ewa", "d1", KEPT, credential=1) is None
    token = records.door.enter_first("k8s", "jan", "d1", KEPT, credential=3)
    assert token is not None
    assert records.door.session(token) == door.Entered("k8s", "jan", 3, 1000 + door.SESSION)
    assert records.door.whose("k8s", "d1") is None
    assert records.door.enter_first("k8s", "jan", "d1", KEPT, credential=3) is None
    assert (records.door.codes("k8s"), records.door.with_passphrase("k8s")) == ({"ewa": 2000.0}, {"jan"})


def test_when_somebody_last_signed_in(records: Records) -> None:
    """It is remembered longer than the session, and not longer than the account or the class."""
    token = records.enter("jan")
    records.clock.now += 5
    records.enter("ewa")
    records.enter("jan", "physics")
    assert records.door.seen("k8s") == {"jan": 1000.0, "ewa": 1005.0}
    records.clock.now += door.SESSION
    records.door.sign_out(token)
    records.door.issue("k8s", {"ewa": "d"}, ends=1e12)
    assert records.door.seen("k8s") == {"jan": 1000.0, "ewa": 1005.0}
    records.door.enter("k8s", "jan", KEPT, credential=1)
    records.door.forget("k8s", ["ewa"])
    assert records.door.seen("k8s") == {"jan": records.clock.now}
    records.door.forget_class("k8s")
    assert records.door.seen("k8s") == {}
    assert records.door.seen("physics").keys() == {"jan"}


def test_time_ends_codes_and_sessions(records: Records) -> None:
    records.door.issue("k8s", {"jan": "d1"}, ends=1060)
    records.clock.now = 1060
    assert records.door.whose("k8s", "d1") is None
    assert records.door.enter_first("k8s", "jan", "d1", KEPT, credential=1) is None
    assert records.door.codes("k8s") == {}
    token = records.enter()
    records.clock.now += door.SESSION - 1
    assert records.door.session(token) is not None
    records.clock.now += 1
    assert records.door.session(token) is None


def test_a_new_code_ends_all_that_was_before(records: Records) -> None:
    token, other = records.enter("jan"), records.enter("ewa")
    records.door.issue("k8s", {"jan": "new"}, ends=2000)
    assert records.door.session(token) is None
    assert records.door.passphrase("k8s", "jan") is None
    assert records.door.enter("k8s", "jan", KEPT, credential=1) is None
    assert records.door.session(other) is not None
    records.door.issue("k8s", {"jan": "newer"}, ends=2000)
    assert records.door.whose("k8s", "new") is None
    assert records.door.whose("k8s", "newer") == "jan"


def test_a_passphrase_that_was_replaced_meanwhile_opens_nothing(records: Records) -> None:
    records.enter()
    assert records.door.enter("k8s", "jan", "00:another", credential=1) is None
    assert records.door.enter("physics", "jan", KEPT, credential=1) is None
    assert records.door.enter("k8s", "jan", KEPT, credential=1) is not None


def test_sign_out_ends_one_session_and_forgetting_ends_all(records: Records) -> None:
    first = records.enter()
    second = records.door.enter("k8s", "jan", KEPT, credential=1)
    assert second is not None
    records.door.sign_out(first)
    assert records.door.session(first) is None
    assert records.door.session(second) is not None
    ewa, elsewhere = records.enter("ewa"), records.enter("jan", "physics")
    records.door.forget("k8s", ["jan"])
    assert records.door.session(second) is None
    assert records.door.session(ewa) is not None
    salt = records.door.salted("k8s")
    records.door.forget_class("k8s")
    assert records.door.session(ewa) is None
    assert records.door.session(elsewhere) is not None
    assert records.door.salted("k8s") != salt


def test_one_student_has_a_bounded_number_of_sessions(records: Records) -> None:
    tokens, other = [records.enter()], records.enter("ewa")
    for _ in range(door.SESSIONS_EACH + 2):
        records.clock.now += 1
        token = records.door.enter("k8s", "jan", KEPT, credential=1)
        assert token is not None
        tokens.append(token)
    there = [records.door.session(token) is not None for token in tokens]
    assert there == [False] * 3 + [True] * door.SESSIONS_EACH
    assert records.door.session(other) is not None


def test_of_many_at_the_same_time_one_gets_in(records: Records) -> None:
    records.door.issue("k8s", {"jan": "d1"}, ends=2000)

    def use(_: int) -> bool:
        with Database(records.database.path, now=lambda: records.clock.now) as own:
            return own.door.enter_first("k8s", "jan", "d1", KEPT, credential=1) is not None

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(use, range(16))) == 1


def test_no_secret_is_in_the_files(records: Records) -> None:
    code, passphrase = door.new_code(), "correct horse battery"
    digest = door.code_digest(code, records.door.salted("k8s"))
    records.door.issue("k8s", {"jan": digest}, ends=2000)
    token = records.door.enter_first("k8s", "jan", digest, door.passphrase_hash(passphrase), credential=1)
    assert token is not None
    kept = b"".join(path.read_bytes() for path in records.database.path.parent.glob("nodisk.db*"))
    assert b"jan" in kept
    for secret in (code, door.shown(code), passphrase, token):
        assert secret.encode() not in kept


def test_a_code_s_hash_is_of_its_class_and_a_passphrase_s_its_own(records: Records) -> None:
    salts = [records.door.salted("k8s"), records.door.salted("physics"), records.door.salt("nothing")]
    assert len({*salts, records.door.salted("k8s")}) == 3
    assert len({door.code_digest("ABCD2345", salt) for salt in salts}) == 3
    first, second = door.passphrase_hash("one and the same"), door.passphrase_hash("one and the same")
    assert first != second
    assert door.fits("one and the same", first)
    assert door.fits("one and the same", second)
    assert not door.fits("one and the sane", first)
    assert not door.fits("", None)


def test_a_letter_is_one_however_the_keyboard_makes_it() -> None:
    assert door.fits("z\u0307o\u0301ł\u0107 jest zielony", door.passphrase_hash("\u017c\u00f3ł\u0107 jest zielony"))


def test_codes_have_no_look_alikes() -> None:
    codes = {door.new_code() for _ in range(300)}
    assert len(codes) == 300
    assert all(re.fullmatch("[2-9A-HJKMNP-TV-Z]{8}", code) for code in codes)
    assert set("".join(codes)) == set(door.ALPHABET)
    assert len(door.ALPHABET) == 30


@given(
    st.text(door.ALPHABET, min_size=8, max_size=8),
    st.lists(st.tuples(st.integers(0, 8), st.sampled_from([" ", "-", "\t", "\u00a0"])), max_size=8),
    st.booleans(),
)
def test_a_code_is_understood_however_it_is_typed(code: str, breaks: list[tuple[int, str]], small: bool) -> None:
    assert door.typed(door.shown(code)) == code
    text = code.lower() if small else code
    for place, gap in breaks:
        text = text[:place] + gap + text[place:]
    assert door.typed(text) == code


@settings(max_examples=300)
@given(st.text(max_size=40))
@example("ABCD234")
@example("ABCD23456")
@example("ABCD2340")
@example("ſBCD2345")  # its capital is S
@example("ıBCD2345")  # its capital is I, which no code has
@example("ABCD２345")
def test_anything_else_is_no_code(text: str) -> None:
    found = door.typed(text)
    assert found is None or re.fullmatch("[2-9A-HJKMNP-TV-Z]{8}", found)
