"""Where Go's YAML reader differs from libyaml: each right value was taken from Butane 0.29.0 and ct."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodisk.butane import clc, translate

HEAD = "variant: fcos\nversion: 1.5.0\n"
UNKNOWN_ESCAPE = "found unknown escape character"


def said(text: str | bytes) -> tuple[str | None, list[str]]:
    """The failure without its first words, and the messages in a line each."""
    report = translate(text).report
    failure = report.failure
    if failure is not None:
        failure = failure.removeprefix("Error unmarshaling yaml: ")
    return failure, [str(entry) for entry in report if failure is None]


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        (r'{"variant": "fcos", "version": "1.5.0", "x": "\/"}', f"yaml: {UNKNOWN_ESCAPE}"),
        ('{"variant": "fcos",\n "version": "1.5.0", "x": "a\n\n\\/"}', f"yaml: line 2: {UNKNOWN_ESCAPE}"),
        ('\n{"variant": "fcos",\n "version": "1.5.0", "x": "a\n\n\\/"}', f"yaml: line 3: {UNKNOWN_ESCAPE}"),
        ('"a\n\n\n\\/"', f"yaml: line 4: {UNKNOWN_ESCAPE}"),
        ('x: *a\ny: "\\/"', "yaml: unknown anchor 'a' referenced"),
        (HEAD + "...\n\t\n", "yaml: line 4: found character that cannot start any token"),
        (HEAD + "...\n...\n\t", "yaml: line 5: found character that cannot start any token"),
        (HEAD + "---\n@", "yaml: line 4: found character that cannot start any token"),
        (HEAD + "--- a: @\n@", "yaml: line 3: mapping values are not allowed in this context"),
        (HEAD + "--- !!x,y @", "yaml: line 3: found character that cannot start any token"),
        (HEAD + "...\n%YAML 1.2 3\n---\n", "yaml: line 4: did not find expected comment or line break"),
        (HEAD + '---\na: "\\/"', None),
        (HEAD + "---\na: b\nc: @", None),
        (HEAD + "--- a @\n@", None),
        (HEAD + "storage: !!null a\n", "yaml: cannot decode !!str `a` as a !!null"),
        (HEAD + "storage: {files: !!null a}\n", "yaml: cannot decode !!str `a` as a !!null"),
        (HEAD + "storage: {files: [!!null a]}\n", "yaml: cannot decode !!str `a` as a !!null"),
        (HEAD + """x: "\\'"\ny: "\\q\"""", f"yaml: line 4: {UNKNOWN_ESCAPE}"),
        (
            "a:\n  b:\n    c: >\n      d\n}    - e\n    f\n",
            "yaml: line 5: block sequence entries are not allowed in this context",
        ),
        (HEAD + "storage: {files: [{path: !!str, b: /a}]}\n", "yaml: line 2: did not find expected ',' or '}'"),
    ],
)
def test_what_is_wrong_and_where(text: str, failure: str | None) -> None:
    assert said(text)[0] == failure


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (r'{"x": "\/"}', ""),
        ('{"variant": "fcos",\n "x": "a\n\n\\/"}', "line 3: "),
        ('"a\n\n\n\\/"', "line 3: "),
        ('x: *a\ny: "\\/"', "line 1: "),
    ],
)
def test_the_line_of_an_escaped_slash_in_clc(text: str, line: str) -> None:
    assert [entry.message for entry in clc.translate(text).report] == [f"yaml: {line}{UNKNOWN_ESCAPE}"]


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ("\ufeff: 1\n", ["warning at $.\ufeff, line 3 col 1: unused key \ufeff"]),
        ("\ufeffa: b\n", ["warning at $.\ufeffa, line 3 col 1: unused key \ufeffa"]),
        ("passwd: {groups: [{name: a, e: !, u}]}\n", ["warning at $.passwd.groups.0.e, line 3 col 29: unused key e"]),
        ("storage: !!map,x\n files: []\n", []),
        ("storage: {files: [!!map,[] {path: /a}]}\n", []),
        ("a: {b: !x,y c, d: !<tag:,>  e}\n", ["warning at $.a, line 3 col 1: unused key a"]),
    ],
)
def test_what_libyaml_reads_otherwise(text: str, warnings: list[str]) -> None:
    assert said(HEAD + text) == (None, warnings)


def test_what_was_hidden_from_libyaml_is_shown_again() -> None:
    inline = "".join(map(chr, range(0xE000, 0xE010))) + "\ufeff~*!, [;]"
    result = translate(
        HEAD + f"a: [!x, 1]\nstorage: {{files: [{{path: /a, contents: {{source: 'http://h/{inline}'}}}}]}}\n"
    )
    assert result.ignition is not None, str(result.report)
    assert result.ignition["storage"]["files"][0]["contents"]["source"] == f"http://h/{inline}"  # type: ignore[index]


def test_an_escaped_apostrophe() -> None:
    text = r"""passwd: {users: [{name: "a\'b\\'c", gecos: 'd\e'}], groups: [{name: f\g}]}"""
    result = translate(HEAD + text)
    assert result.ignition is not None, str(result.report)
    assert result.ignition["passwd"] == {
        "groups": [{"name": "f\\g"}],
        "users": [{"name": "a'b\\'c", "gecos": "d\\e"}],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("systemd: {units: [{name: a.service, mask: ! true}]}\n", "! `true` into bool"),
        ("storage: ! null\n", "! `null` into a mapping"),
        ("storage: {files: [{mode: ! 5}]}", "! `5` into int"),
    ],
)
def test_the_tag_that_makes_a_text_in_clc(text: str, message: str) -> None:
    words = f"yaml: unmarshal errors:\n  line 1: cannot unmarshal {message}"
    assert [entry.message for entry in clc.translate(text).report] == [words]


@pytest.mark.parametrize("codec", ["utf-16", "utf-8-sig"])
def test_a_byte_order_mark_at_the_start(codec: str) -> None:
    assert translate((HEAD + 'x: "\\t"\n').encode(codec)).ignition is not None
    assert said((HEAD + 'x: "\\/"\n').encode(codec))[0] == f"yaml: line 3: {UNKNOWN_ESCAPE}"


def test_two_byte_order_marks_are_refused() -> None:
    assert "two byte order marks" in str(translate("\ufeff\ufeff" + HEAD).report)


@pytest.mark.parametrize(
    ("number", "total"),
    [
        ("+9223372036854775808", -(2**63)),
        ("9223372036854775808.0", -(2**63)),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854774784.5", 2**63 - 1024),
    ],
)
def test_integers_at_the_edge(number: str, total: int) -> None:
    result = translate(HEAD + f"ignition: {{timeouts: {{http_total: {number}}}}}\n")
    assert f'"httpTotal":{total},' in result.json().replace("}", ","), str(result.report)


def test_integers_over_the_edge() -> None:
    failure, _ = said(HEAD + "ignition: {timeouts: {http_total: 9223372036854775808}}\n")
    assert failure is not None
    assert "cannot unmarshal !!int `9223372...` into int" in failure


@settings(deadline=None)  # the host may be busy
@given(st.text(st.sampled_from("{}[],:!&*?\"'\\/ \n\t-.%a#|>~\ufeff\x85"), max_size=60))
def test_anything_ends_in_a_report(text: str) -> None:
    for document in (text, HEAD + text, HEAD + "storage: {" + text):
        for result in (translate(document), clc.translate(document)):
            assert (result.ignition is None) == (result.report.failure is not None)
