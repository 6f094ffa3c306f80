"""What ``nodisk butane --from clc`` writes to stderr: every message, and the last words only where ct has them."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from nodisk.commands.butane import butane

PARSE = "Failed to parse config\n"
MODE = "mode unspecified for file, defaulting to 0644\n"


def run(text: str, *args: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(butane, ["--from", "clc", *args], input=text, catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("text", "args", "stderr"),
    [
        (
            "passwd: [1]\n",
            (),
            "error: yaml: unmarshal errors:\n  line 1: cannot unmarshal !!seq into a mapping\n" + PARSE,
        ),
        ("a: b: c\n", (), "error: yaml: mapping values are not allowed in this context\n" + PARSE),
        ("etcd: {version: abc}\n", (), "error: abc is not in dotted-tri format\n" + PARSE),
        ("storage: {files: [{path: /a}]}", ("--raw-errors", "--strict"), "warning at line 1 col 19: " + MODE + PARSE),
        ("", ("--strict",), "warning: Configuration is empty\n" + PARSE),
        ("{}\n", ("--platform", "foo"), "error: unsupported platform\n"),
        ("etcd: {name: '{HOSTNAME}'}\n", (), "error: platform must be specified to use templating\n"),
        ("etcd: {name: '{X}'}\n", ("--platform", "ec2"), "error: unknown field\n"),
    ],
)
def test_every_message_is_printed(text: str, args: tuple[str, ...], stderr: str) -> None:
    status, out, err = run(text, *args)
    assert (status, out, err) == (1, "", stderr)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("storage: {files: [{path: a, mode: 0644}]}", "path not absolute"),
        ("storage: {disks: [{device: /a, partitions: [{size: 1X}]}]}", "units: unknown unit X in 1X"),
        ("storage: {files: [{path: /a, mode: 0644, contents: {remote: {url: ':'}}}]}", "missing protocol scheme"),
    ],
)
def test_what_can_not_be_converted_was_parsed(text: str, message: str) -> None:
    status, out, err = run(text)
    assert (status, out) == (1, "")
    assert message in err
    assert PARSE not in err


def test_strict_after_parsing() -> None:
    """A warning of Ignition's is no fault of the config's form."""
    status, out, err = run("storage: {files: [{path: /a, mode: 0644, filesystem: x}]}", "--strict")
    assert (status, out) == (1, "")
    assert "nonexistent filesystem" in err
    assert PARSE not in err
    status, out, err = run("storage: {files: [{path: /a}]}", "--strict")
    assert (status, out) == (1, "")
    assert err.endswith(PARSE)


def test_a_warning_without_a_place() -> None:
    status, out, err = run("")
    assert status == 0
    assert out.startswith("{")
    assert err == "warning: Configuration is empty\n"
