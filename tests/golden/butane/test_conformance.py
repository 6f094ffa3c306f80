"""Every recorded run of Butane and ct, through ``nodisk butane`` as a user runs it.

Output, exit status, last words, and every message with severity, line, column, path and words. Only where the words
are types of the reference's programming language (``cannot unmarshal … into v0_5.Resource``) the type is not compared.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.golden.butane.conftest import names

from nodisk.butane import clc
from nodisk.butane import translate as translate_butane
from nodisk.commands.butane import butane

pytestmark = pytest.mark.parametrize("case", names(), indirect=True)


def words(case: Path) -> list[str]:
    """The command line after ``nodisk butane``."""
    args = (case / "args").read_text().split()
    if (case / "target").exists():
        args += ["--from", "clc", "--to", (case / "target").read_text().strip()]
    return args


def run(case: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> Result:
    monkeypatch.chdir(case)
    source = case / ("input.yaml" if (case / "target").exists() else "input.bu")
    text = source.read_bytes() if source.exists() else b""
    return CliRunner().invoke(butane, [*words(case), *more], input=text, catch_exceptions=False)


def unpacked(value: Any) -> Any:
    """The same, with automatically compressed content replaced by what it expands to."""
    if isinstance(value, list):
        return [unpacked(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {key: unpacked(item) for key, item in value.items()}
    source = out.get("source")
    if out.get("compression") == "gzip" and isinstance(source, str) and source.startswith("data:;base64,"):
        packed = base64.b64decode(source.removeprefix("data:;base64,"))
        out["source"] = ["gzip", gzip.decompress(packed)]
    return out


def same_types(one: Any, other: Any) -> bool:
    """Equality in which ``true`` is not ``1``."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_types(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_types, one, other))
    return type(one) is type(other) and one == other


def test_output(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(case, monkeypatch)
    if (case / "expected_error.json").exists():
        expected = json.loads((case / "expected_error.json").read_bytes())
        assert (result.exit_code, result.stdout_bytes) == (expected["exit"], b"")
        if expected["summary"]:
            last = re.sub(r" into .*", "", expected["summary"]), re.sub(r" into .*", "", result.stderr)
            assert last[1].rstrip().endswith(last[0])
        else:  # the messages are all that it says
            assert "Failed to parse" not in result.stderr
        assert all(message["message"] in result.stderr for message in plain(expected["messages"])), result.stderr
        return
    assert result.exit_code == 0, result.stderr
    written = (case / "expected.ign").read_bytes()
    if b'"compression":"gzip","source":"data:;base64,' in written:
        assert same_types(unpacked(json.loads(written)), unpacked(json.loads(result.stdout_bytes)))
    else:
        assert result.stdout_bytes == written
    if (case / "expected_pretty.ign").exists():
        assert run(case, monkeypatch, "--pretty").stdout_bytes == (case / "expected_pretty.ign").read_bytes()


def plain(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages that name no type of Go."""
    return [message for message in found if "cannot unmarshal" not in message["message"]]


def messages(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted(
        (
            message["line"] or 0,
            message["column"] or 0,
            message["path"] or "",
            message["severity"],
            re.sub(r"(cannot unmarshal .*) into .*", r"\1", message["message"]),
        )
        for message in found
    )


def test_messages(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case)
    expected: dict[str, Any] = {"exit": 0, "messages": []}
    for name in ("expected_error.json", "expected_warnings.json"):
        if (case / name).exists():
            expected = json.loads((case / name).read_bytes())
    args = words(case)
    if expected["exit"] == 2:
        return  # bad flags: no document was read, and there are no messages
    context = butane.make_context("butane", list(args))
    files_dir, strict, platform = (context.params[name] for name in ("files_dir", "strict", "platform"))
    if context.params["files"] or context.params["input_"]:
        return  # the input is that file, and test_output has compared what it gives
    if (case / "target").exists():
        text, to = (case / "input.yaml").read_bytes(), context.params["to"]
        result = clc.translate(text, to=to, platform=platform, files_dir=files_dir, strict=strict)
    else:
        result = translate_butane((case / "input.bu").read_bytes(), files_dir=files_dir, strict=strict)
    found = [entry._asdict() for entry in result.report]
    assert messages(found) == messages(expected["messages"])
