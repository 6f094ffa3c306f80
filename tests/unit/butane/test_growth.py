"""Inputs that are large or mean much end in seconds: by linear work, or by a limit that the docs state."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from nodisk.butane import Result, clc, pretty, translate


def many(form: str, count: int) -> str:
    return "".join(form.replace("N", str(number)) for number in range(count))


HEAD = "variant: fcos\nversion: 1.7.0\n"
FILES = HEAD + "storage:\n files:\n"
CONTENTS = many(" - {path: /N, contents: {inline: *x}}\n", 1_000)
UNIT = HEAD + "systemd:\n units:\n - name: a.service\n   contents: |\n    [Service]\n"
MUCH = "'" + "x" * 1_000_000 + "'\n"


def seconds(text: str, translator: Callable[[str], Result] = translate) -> float:
    """What a document takes, messages included."""
    start = time.process_time()
    result = translator(text)
    result.json()
    pretty.text(result.report, "x", text.encode())
    return time.process_time() - start


LARGE = {
    "escaped slash": HEAD + "x: '\\/'\ny: [" + '"a", ' * 40_000 + "]\n",
    "unknown keys": HEAD + many("kN: 1\n", 20_000),
    "unknown keys in a line": HEAD + "x: 1\nstorage: {" + many("kN: 1, ", 20_000) + "}\n",
    "unknown keys below": FILES + many(" - {path: /N, k: 1, j: 2}\n", 6_000),
    "equal keys": HEAD + "storage:\n" + " files: []\n" * 20_000,
    "equal paths": FILES + " - {path: /a}\n" * 10_000,
    "wrong values": FILES + " - {path: a, mode: x}\n" * 10_000,
    "options of a unit": UNIT + "    A=b\n" * 300_000,
    "merges": HEAD + "b: &b {" + many("aN: 1, ", 10_000) + "}\nstorage:\n files:\n" + " - {<<: *b}\n" * 10_000,
    "aliases of text": HEAD + "x: &x " + MUCH + FILES[len(HEAD) :] + CONTENTS,
    "aliases of a number": HEAD + f"x: &x 1{'0' * 999_999}\n" + FILES[len(HEAD) :] + " - {mode: *x}\n" * 1_000,
    "aliases of text for files": HEAD + "x: &x " + MUCH + FILES[len(HEAD) :] + " - *x\n" * 1_000,
    "tags with a comma": HEAD + "x: [" + "!a, b, " * 10_000 + "]\n",
    "escaped apostrophes": HEAD + "z: [" + "a, " * 40_000 + "]\nx: [" + r""""\'", """ * 2_000 + "]\n",
    "escaped apostrophes in a scalar": HEAD + 'x: "' + "\\'" * 1_000_000 + '"\n',
    "documents": HEAD + "---\na: 1\n" * 1_000_000,
    "text": FILES + " - {path: /a, contents: {inline: '" + "ab ä" * 2_000_000 + "'}}\n",
}


@pytest.mark.parametrize("name", LARGE)
def test_butane(name: str) -> None:
    assert len(LARGE[name]) < 16 * 1024 * 1024
    assert seconds(LARGE[name]) < 10


CLC_LARGE = {
    "unknown keys": many("kN: 1\n", 20_000),
    "options": "etcd:\n" + many(" kN: 1\n", 20_000),
    "versions": "etcd:\n" + " version: 3.1.0\n" * 20_000,
    "sections": "etcd: {version: 3.1.0}\n" * 10_000,
    "merges": "a: &a {name: x}\netcd:\n" + " <<: *a\n" * 20_000,
    "files": "storage:\n files:\n" + many("  - {path: /N, filesystem: root, contents: {inline: x}, q: 1}\n", 3_000),
    "aliases of text": "x: &x " + MUCH + "systemd:\n units:\n" + many(" - {name: N.service, contents: *x}\n", 1_000),
}


@pytest.mark.parametrize("name", CLC_LARGE)
def test_container_linux_config(name: str) -> None:
    assert seconds(CLC_LARGE[name], clc.translate) < 10


def test_aliases_are_limited_by_what_they_mean() -> None:
    assert "document means more than 32 MiB of text" in str(translate(LARGE["aliases of text"]).report)
    few = HEAD + "x: &x " + MUCH + FILES[len(HEAD) :] + many(" - {path: /N, contents: {inline: *x}}\n", 30)
    assert translate(few).ignition is not None


def test_very_long_lines_are_not_shown_for_every_message() -> None:
    text = LARGE["unknown keys in a line"]
    shown = pretty.text(translate(text).report, "x", text.encode())
    assert shown.count("unused key") == 20_001
    assert len(shown) < 20_000_000
