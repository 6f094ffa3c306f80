"""The pure parts of a student's terminal: messages, what is kept of a screen, the script of Debian's files."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.assets import built
from nodisk.console import terminal_messages as messages
from nodisk.console import terminal_pods, xterm
from nodisk.console.scrollback import Scrollback
from nodisk.console.terminal_messages import Hello, Seen, Size, Told, Typed

SIZES = st.integers(1, 500)
GATE = asyncio.Semaphore(1)


@given(st.lists(st.binary(max_size=90), max_size=30), st.integers(1, 100))
def test_the_end_is_kept_and_no_more(pieces: list[bytes], most: int) -> None:
    kept = Scrollback(most)
    for piece in pieces:
        kept.add(piece)
        assert len(kept.text) <= most
    assert b"".join(pieces).endswith(kept.text)


def test_a_flood_keeps_no_more_than_it_may() -> None:
    kept = Scrollback()
    for number in range(10_000):
        kept.add(f"line {number} of many\n".encode())
    assert 60_000 < len(kept.text) <= 65_536
    assert kept.text.startswith(b"line ")
    assert kept.text.endswith(b"line 9999 of many\n")
    kept.clear()
    assert kept.text == b""


@given(SIZES, SIZES, st.text(max_size=80))
def test_the_first_message(columns: int, rows: int, token: str) -> None:
    text = json.dumps({"token": token, "columns": columns, "rows": rows})
    if len(text) <= messages.SHORT:
        assert messages.first(text) == Hello(token, Size(columns, rows))


@given(st.binary(max_size=100), SIZES, SIZES, st.integers(0, 2**53))
def test_later_messages(data: bytes, columns: int, rows: int, total: int) -> None:
    assert messages.parse(None, data) == Typed(data)
    assert messages.parse(json.dumps({"columns": columns, "rows": rows}), None) == Size(columns, rows)
    assert messages.parse(json.dumps({"seen": total}), None) == Seen(total)
    assert messages.parse(json.dumps({"told": total}), None) == Told(total)
    assert messages.parse_of_watcher(json.dumps({"seen": total}), None) == Seen(total)
    assert messages.first_of_watcher(json.dumps({"token": str(total)})) == str(total)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["token", "columns", "rows", "seen", "told"]), inner, max_size=4)
    ),
    max_leaves=6,
)


@given(st.text(max_size=30) | _JSON.map(json.dumps))
def test_any_text_is_a_message_or_refused(text: str) -> None:
    for read in (messages.first, lambda text: messages.parse(text, None)):
        with contextlib.suppress(ValueError):
            found = read(text)
            size = found.size if isinstance(found, Hello) else found
            if isinstance(size, Size):
                assert 1 <= size.columns <= 500
                assert 1 <= size.rows <= 500
    for of_watcher, what in (
        (messages.first_of_watcher, str),
        (lambda text: messages.parse_of_watcher(text, None), Seen),
    ):
        with contextlib.suppress(ValueError):
            assert isinstance(of_watcher(text), what)


@given(st.binary(max_size=100))
def test_who_watches_types_nothing(data: bytes) -> None:
    with pytest.raises(ValueError, match="can't type"):
        messages.parse_of_watcher(None, data)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "[" * 100_000,
        "[" * 1000,
        '{"columns": 0, "rows": 1}',
        '{"columns": 501, "rows": 1}',
        '{"columns": true, "rows": 1}',
        '{"columns": 80.0, "rows": 24}',
        '{"columns": 80}',
        '{"columns": 80, "rows": 24, "more": 1}',
        '{"seen": -1}',
        '{"seen": "1"}',
        f'{{"seen": {"9" * 30}}}',
    ],
)
def test_what_is_no_message(text: str | None) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - several texts
        messages.parse(text, None)


def test_too_much_at_once_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        messages.parse(None, bytes(messages.MOST + 1))


def test_modules_become_one_script() -> None:
    script = xterm.bundle({"a/b": 'require("../c");\n//# sourceMappingURL=b.js.map', "c": "exports.c = 1;"}).decode()
    assert "sourceMappingURL" not in script
    assert '"a/b": function (module, exports, require) {' in script
    assert script.index('"a/b"') < script.index('"c": function')


def test_which_of_debian_s_packages_is_there_decides(tmp_path: Path) -> None:
    browser, modules = tmp_path / "browser", tmp_path / "modules"
    assert xterm.of(browser, modules) is None
    for path, text in {
        browser / "addons/fit/fit.js": "exports.fit = 0;",
        modules / "public/Terminal.js": "exports.Terminal = 0;",
        modules / "public/Terminal.test.js": "never();",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    old = xterm.of(browser, modules)
    assert old is not None
    assert b'load("public/Terminal")' in old
    assert b"never" not in old
    for name in ("xterm.js", "addons/fit/xterm-addon-fit.js", "addons/canvas/xterm-addon-canvas.js"):
        path = browser / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"self.whole = '{name}';\n//# sourceMappingURL=x.map\n")
    new = xterm.of(browser, modules)
    assert new is not None
    assert new.count(b"self.whole") == 3
    assert b"sourceMappingURL" not in new


def test_a_lab_that_was_built_before_there_were_terminals_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(built, "manifests", lambda *_: {"image": None})
    pods = terminal_pods.InCluster(cast("Any", SimpleNamespace(state=SimpleNamespace(state=None), lab=None)), GATE)
    with pytest.raises(terminal_pods.NoTerminal, match="nodisk build"):
        asyncio.run(pods.prepare(cast("Any", None), cast("Any", None), cast("Any", None)))
