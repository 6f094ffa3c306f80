"""Input that is meant to hurt, or just isn't what it should be: a report, soon, in bounded memory."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from nodisk.butane import translate, validate

HEAD = b"variant: fcos\nversion: 1.5.0\n"
BOMB = (
    HEAD
    + b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(b"%c: &%c [" % (98 + i, 98 + i) + b",".join([b"*%c" % (97 + i)] * 9) + b"]\n" for i in range(10))
)
FILES = b"storage:\n  files: &f [" + b",".join([b"{path: /a}"] * 300) + b"]\n"
NESTED_BOMB = (
    HEAD
    + (b"storage:\n  files:\n    - &f {path: /a, append: &l [" + b",".join([b"{inline: a}"] * 1000) + b"]}\n")
    + b"    - *f\n" * 1000
)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x00\x01\x02", "control characters are not allowed"),
        (b"\xff\xff\xff", "invalid leading UTF-8 octet"),
        (HEAD + b"a: \xc3\x28\n", "invalid trailing UTF-8 octet"),
        (HEAD + b"storage:\n\tfiles: []\n", "found character that cannot start any token"),
        (HEAD + b"a: [b\n", "did not find expected ',' or ']'"),
        (HEAD + b"a: *nobody\n", "unknown anchor 'nobody' referenced"),
        (HEAD + b"[" * 10_000_000, "could not find expected ':'"),
        (HEAD + b"a: " + b"[" * 10_000_000, "exceeded max depth"),
        (HEAD + b"a: " + b"{a: " * 5_000, "exceeded max depth"),
        (HEAD + b"- " * 1_000_000, "did not find expected"),
        (b"[" * 10_000_000, "exceeded max depth"),
        (HEAD + b"- a\n" * 1_000_000, "did not find expected"),
        (HEAD + b"a:\n" + b"- a\n" * 1_000_000, "nodes"),
        (b"x" * (17 * 1024 * 1024), "larger than 16 MiB"),
        (NESTED_BOMB, "excessive aliasing"),
        (HEAD + b"storage: &s {<<: *s}\n", "anchor 's' value contains itself"),
        (b"%YAML 1.2\n---\nvariant: fcos\n", "found incompatible YAML document"),
        (HEAD + b"storage: !!python/object/apply:os.system [id]\n", "cannot unmarshal"),
        (HEAD + b"passwd: {users: [{name: !!python/name:os.system '', uid: !!int x}]}\n", "cannot decode"),
        (HEAD + b"passwd: {users: [{uid: '5'}]}\n", "cannot unmarshal !!str `5` into int"),
        (HEAD + b'storage: {files: [{path: /a, mode: "0644"}]}\n', "cannot unmarshal !!str `0644` into int"),
        (HEAD + b"passwd: {users: [], users: []}\n", 'mapping key "users" already defined'),
        (HEAD + b'passwd: {users: [{name: "a\\/b"}]}\n', "found unknown escape character"),
        (b"", "error parsing variant"),
        (b"variant: fcos\n", "error parsing version"),
        (b"variant: fcos\nversion: 1.5\n", "error parsing version"),
        (b"variant: fcos\nversion: 1.8.0-experimental\n", "No translator exists"),
        (b"variant: rhcos\nversion: 0.1.0\n", "rhcos variant has been removed; use openshift variant instead"),
        (b"just words", "cannot unmarshal"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_report_in_under_a_second(data: bytes, said: str) -> None:
    start = time.process_time()
    report = translate(data).report
    assert time.process_time() - start < 1
    assert report.failure is not None
    assert said in f"{report}"


def test_a_bomb_that_nobody_reads_is_harmless() -> None:
    start = time.process_time()
    report = translate(BOMB).report
    assert time.process_time() - start < 1
    assert [entry.severity for entry in report] == ["warning"] * 11


def test_memory_is_bounded() -> None:
    tracemalloc.start()
    translate(b"[" * 3_000_000)
    translate(HEAD + b"a:\n" + b"- a\n" * 60_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 1024 * 1024


def test_numbers_and_octals() -> None:
    def mode(text: str) -> object:
        result = translate(HEAD + b"storage: {files: [{path: /a, mode: " + text.encode() + b"}]}")
        assert result.ignition is not None, str(result.report)
        return result.ignition["storage"]["files"][0]["mode"]  # type: ignore[index]

    values = {"0644": 420, "0o644": 420, "0x1a4": 420, "0b110100100": 420, "420.9": 420, "0888": 888, "1_000": 1000}
    assert {text: mode(text) for text in values} == values


@pytest.mark.parametrize("text", ["yes", "on", "Y", "true", '"yes"'])
def test_words_for_true(text: str) -> None:
    result = translate(HEAD + f"systemd: {{units: [{{name: a.service, mask: {text}}}]}}".encode())
    assert '"mask":true' in result.json()


@pytest.mark.parametrize(
    "text", ["{", "[]", "null", "5", '{"ignition": {"version": 3}}', '{"ignition": {"version": "9.0.0"}}', ""]
)
def test_not_an_ignition_config(text: str) -> None:
    assert validate(text).failure is not None


def test_deep_json_is_refused() -> None:
    start = time.process_time()
    assert validate('{"a":' * 200_000).failure is not None
    assert validate("[" * 200_000 + "]" * 200_000).failure is not None
    assert time.process_time() - start < 1


def test_files_outside_are_out_of_reach(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to("..")
    (folder / "inside").symlink_to("real")
    (folder / "real").write_text("fine")
    for local, said in (
        ("../secret", "traverses outside"),
        ("link", "traverses outside"),
        ("up/secret", "traverses outside"),
        ("x/../../secret", "traverses outside"),
        ("/etc/passwd", "no such file"),
        ("a\\0b", "no such file"),
        (".", "is a directory"),
    ):
        result = translate(
            HEAD + f"storage: {{files: [{{path: /a, contents: {{local: '{local}'}}}}]}}".encode(), files_dir=folder
        )
        assert result.ignition is None
        assert said in str(result.report), local
    result = translate(HEAD + b"storage: {files: [{path: /a, contents: {local: inside}}]}", files_dir=folder)
    assert '"source":"data:,fine"' in result.json()


def test_no_devices_sockets_or_huge_files(tmp_path: Path) -> None:
    """Whoever opened the pipe would wait for a writer, who never comes."""
    import os
    import socket

    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    for local, said in (("pipe", "not a regular file"), ("socket", "open"), ("huge", "larger than 64 MiB")):
        text = HEAD + f"storage: {{files: [{{path: /a, contents: {{local: {local}}}}}]}}".encode()
        report = translate(text, files_dir=tmp_path).report
        assert said in str(report)


def test_a_tree_with_a_pipe(tmp_path: Path) -> None:
    import os

    (tmp_path / "tree").mkdir()
    os.mkfifo(tmp_path / "tree/pipe")
    report = translate(HEAD + b"storage: {trees: [{local: tree}]}", files_dir=tmp_path).report
    assert [entry.message for entry in report] == ["trees may only contain files, directories, and symlinks"]
