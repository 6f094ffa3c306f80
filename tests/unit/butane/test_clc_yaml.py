"""Container Linux Config is YAML as yaml.v2 read it in ct's days."""

import json
from typing import Any

import pytest

from nodisk.butane import clc

FILE = "storage:\n  files:\n  - &b\n    path: /a\n    filesystem: root\n    mode: 0644\n"
DIRECTORY = "storage:\n  directories:\n  - filesystem: root\n    path: /d\n"


def said(text: str) -> list[str]:
    result = clc.translate(text)
    assert result.ignition is None
    return [str(entry) for entry in result.report]


def made(text: str) -> Any:
    result = clc.translate(text)
    assert result.ignition is not None, list(result.report)
    return json.loads(result.json())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("storage:\n  files: a: b\n", "line 1: mapping values are not allowed in this context"),
        ("storage:\n\tfiles: []\n", "line 1: found character that cannot start any token"),
        ("storage:\n  directories: [a\nsystemd: {}\n", "line 2: did not find expected ',' or ']'"),
        ("storage:\n  - a\n  b: c\n", "line 2: did not find expected '-' indicator"),
        (FILE + "    contents: {remote: {url: http://x/}}\n", "line 6: found unexpected ':'"),
        ("storage: {files: [{path: a:b}]}\n", "found unexpected ':'"),
        ('systemd:\n  units: [{name: "a\\/b"}]\n', "line 1: found unknown escape character"),
        ("systemd: *x\n", "unknown anchor 'x' referenced"),
    ],
)
def test_what_is_no_yaml(text: str, words: str) -> None:
    assert said(text) == [f"error: yaml: {words}"]


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("1e2", "!!str `1e2` into int"),
        ("420.", "!!str `420.` into int"),
        ("yes", "!!bool `yes` into int"),
        ("2001-01-01", "!!str `2001-01-01` into int"),
        ("'1'", "!!str `1` into int"),
    ],
)
def test_what_is_no_integer(mode: str, words: str) -> None:
    assert said(f"{DIRECTORY}    mode: {mode}\n") == [
        f"error: yaml: unmarshal errors:\n  line 5: cannot unmarshal {words}"
    ]


def test_what_is_one() -> None:
    assert made(f"{DIRECTORY}    mode: 1.5e+2\n")["storage"]["directories"][0]["mode"] == 150
    assert said(f"{DIRECTORY}    mode: !!float 3\n") == ["error: yaml: cannot decode !!int `3` as a !!float"]


def test_all_misfits_are_one_message() -> None:
    text = f"{DIRECTORY}    mode: yes\n  - path: [1]\n"
    (only,) = said(text)
    assert only.splitlines()[1:] == [
        "  line 5: cannot unmarshal !!bool `yes` into int",
        "  line 6: cannot unmarshal !!seq into string",
    ]


def units(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made(text)["systemd"]["units"]
    return found


def test_a_merge_sets_what_is_in_it_there_and_then() -> None:
    text = "systemd:\n  units:\n  - &a {name: a.service, enable: true, contents: x}\n  - "
    assert [unit["name"] for unit in units(text + "{name: b.service, <<: *a}\n")] == ["a.service", "a.service"]
    assert [unit["name"] for unit in units(text + "{<<: *a, name: b.service}\n")] == ["a.service", "b.service"]
    second = "&b {name: b.service, contents: z}\n  - {<<: [*a, *b]}\n"
    assert [unit["contents"] for unit in units(text + second)] == ["x", "z", "x"]


def test_what_is_decoded_over_what_is_there_adds_up() -> None:
    over = "    contents: {inline: a}\n  - <<: *b\n    path: /b\n    contents:\n      remote: {url: 'http://x/'}\n"
    assert any("only one of" in line for line in said(FILE + over))
    user = "    user: {id: 500}\n  - <<: *b\n    path: /b\n    user: {name: core}\n"
    assert any("cannot set both" in line for line in said(FILE + user))
    twice = "storage:\n  links:\n  - {filesystem: root, path: /a, target: /b}\n" + DIRECTORY
    assert {"links", "directories"} <= made(twice)["storage"].keys()


def test_the_last_of_two_equal_keys_counts_even_if_it_is_nothing() -> None:
    assert "enable" not in units("systemd: {units: [{name: a.service, enable: true, enable: false}]}")[0]
    assert "contents" not in units("systemd: {units: [{name: a.service, contents: x, contents: null}]}")[0]


def test_an_anchor_is_looked_up_when_it_is_read() -> None:
    text = "systemd:\n  units:\n  - name: &n a.service\n  - name: *n\n  - name: &n b.service\n"
    assert [unit["name"] for unit in units(text)] == ["a.service", "b.service", "b.service"]
    assert units("systemd:\n  units:\n  - name: *n\n  - name: &n b.service\n")[0]["name"] == "b.service"
    assert made("foo: *x\nsystemd: {}\n")  # nobody reads it


@pytest.mark.parametrize(
    "text", ["systemd: &s {<<: *s}\n", "systemd: {units: &u [*u]}\n", "storage: &s {<<: [*s, *s]}\n"]
)
def test_what_contains_itself_is_refused(text: str) -> None:
    assert any("itself" in line or "into" in line or "excessive" in line for line in said(text))


def test_a_url_of_nothing_is_empty_contents() -> None:
    (file,) = made(FILE + "    contents: {remote: {url: '//'}}\n")["storage"]["files"]
    assert file["contents"]["source"] == "data:,"
