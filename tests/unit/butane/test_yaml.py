"""Where libyaml, which reads the documents here, and yaml.v3, which reads them in Butane, differ."""

from __future__ import annotations

import time

import pytest

from nodisk.butane import clc, translate

HEAD = "variant: fcos\nversion: 1.5.0\n"
PROXY = HEAD + "ignition: {proxy: {no_proxy: %s}}\n"


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("[fe80::, a]", '["fe80::","a"]'),
        ("[fe80::]", '["fe80::"]'),
        ("[a:, 'b:,', \"c:]\", d:e, f::,]", '["a:","b:,","c:]","d:e","f::"]'),
        ("[x, # a:,\n é:, b]", '["x","é:","b"]'),
        ("[a b:, \ue000]", '["a b:","\ue000"]'),
    ],
)
def test_a_colon_before_a_comma_is_part_of_the_word(listed: str, expected: str) -> None:
    assert f'"noProxy":{expected}' in translate(PROXY % listed).json()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("passwd: {users:}", "unused key users:"),
        ("passwd: {groups:[a]}", "did not find expected ',' or '}'"),
        ("passwd: {groups: [a:?]}", "did not find expected ',' or ']'"),
        ("passwd: {users: [{name: a:, name: b}]}", 'mapping key "name" already defined'),
    ],
)
def test_what_then_follows(text: str, said: str) -> None:
    assert said in str(translate(HEAD + text + "\n").report)


def test_a_quoted_key_needs_no_space() -> None:
    text = HEAD + 'passwd: {"users":[{"name":x:, "groups":["a:",b:]}]}\n'
    assert '"users":[{"groups":["a:","b:"],"name":"x:"}]' in translate(text).json()


def test_a_key_that_is_an_alias_needs_no_space() -> None:
    text = HEAD + "passwd: {users: [{name: a:, shell: &x groups, *x:[b:]}]}\n"
    assert '"users":[{"groups":["b:"],"name":"a:","shell":"groups"}]' in translate(text).json()


def test_places_stay() -> None:
    entry = next(iter(translate(HEAD + "passwd: {groups: [{name: a:, nme: b}]}\n").report))
    assert (entry.line, entry.column, entry.message) == (3, 30, "unused key nme")


def test_yaml_v2_refuses_the_colon() -> None:
    assert "found unexpected ':'" in str(clc.translate("passwd: {users: [{name: a:}]}\n").report)


def test_many_colons_take_no_time() -> None:
    start = time.process_time()
    translate(PROXY % ("[" + "a:, " * 20_000 + "]"))
    translate(PROXY % ("[" + "a:" * 1_000_000 + "]"))
    assert time.process_time() - start < 1.5
