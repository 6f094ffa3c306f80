"""What holds for every document: never an exception, never a config that Ignition would refuse, never two answers."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nodisk.butane import clc, translate, validate
from nodisk.butane.compiled import butane
from nodisk.butane.fields import VERSIONS
from nodisk.butane.schema import CStruct

TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["/etc/a", "/etc/b", "/dev/vda", "a.service", "x.conf", "data:,x", "http://h/", "ext4", "root", ""]
    ),
)
NUMBERS = st.one_of(st.integers(), st.sampled_from([0, 1, 0o644, 0o755, 644, 420]))


def sections(struct: CStruct) -> st.SearchStrategy[dict[str, Any]]:
    """Documents that are mostly of the right shape."""
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for name, field in struct.by_name.items():
        if name in ("variant", "version"):
            continue
        inner: st.SearchStrategy[Any]
        if isinstance(field.item, CStruct):
            inner = sections(field.item)
            fields[name] = st.lists(inner, max_size=1) if field.kind == "list" else inner
        elif field.kind == "list":
            fields[name] = st.lists(TEXTS, max_size=3)
        else:
            fields[name] = {"string": TEXTS, "integer": NUMBERS, "boolean": st.booleans()}[str(field.kind)]
    return st.fixed_dictionaries({}, optional=fields)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    variant = draw(st.sampled_from(sorted(VERSIONS)))
    version = draw(st.sampled_from(sorted(VERSIONS[variant])))
    minor = int(version.split(".")[1]) if variant == "fcos" else None
    body = draw(sections(butane(VERSIONS[variant][version], minor)))
    text = yaml.dump({"variant": variant, "version": version, **body}, allow_unicode=True)
    return text.encode("utf-8", "surrogatepass")


@settings(max_examples=20, deadline=None)
@given(documents())
def test_what_is_accepted_is_valid_and_the_same_again(text: bytes) -> None:
    result = translate(text)
    assert translate(text).report == result.report
    if result.ignition is None:
        assert result.report.failure
        assert result.json() == ""
        return
    assert result.report.failure is None
    assert translate(text).json() == result.json()
    assert validate(result.json()).failure is None, result.json()
    assert translate(text, strict=True).ignition == (None if len(result.report) else result.ignition)


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
)
def test_anything_else_is_a_report(data: bytes) -> None:
    for body in (data, b"variant: fcos\nversion: 1.7.0\n" + data):
        result = translate(body)
        assert (result.ignition is None) == (result.report.failure is not None)
        assert (clc.translate(data).ignition is None) == (clc.translate(data).report.failure is not None)


@settings(max_examples=20, deadline=None)
@given(documents(), st.data())
def test_a_byte_changed_is_a_report(text: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text)))
    junk = data.draw(st.binary(max_size=3))
    translate(text[:place] + junk + text[place + 1 :])


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["fcos", "flatcar"]), st.from_regex(r"[a-z_]{1,12}", fullmatch=True))
def test_an_unknown_key_is_always_reported(variant: str, key: str) -> None:
    version = "1.1.0"
    minor = 1 if variant == "fcos" else None
    struct = butane(VERSIONS[variant][version], minor)
    for section, text in (
        (struct, f"variant: {variant}\nversion: {version}\n{key}: [1]\n"),
        (struct.by_name["storage"].item, f"variant: {variant}\nversion: {version}\nstorage: {{{key}: x}}\n"),
    ):
        assert isinstance(section, CStruct)
        if key in section.by_name or key in ("null", "y", "n", "on", "no", "yes", "off"):
            continue
        messages = [entry.message for entry in translate(text).report]
        assert f"unused key {key}" in messages
