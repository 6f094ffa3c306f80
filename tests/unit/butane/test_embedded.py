"""Ignition configs inside of Butane documents, and judged alone."""

from __future__ import annotations

import json
import time

import pytest

from nodisk.butane import translate, validate
from nodisk.butane.report import Entry

HEAD = "variant: fcos\nversion: 1.5.0\n"
NO_YAML = {
    "escaped slash": '{"ignition":{"version":"3.4.0"},"foo":"a\\/b"}',
    "surrogate pairs": '{"ignition":{"version":"3.4.0"},"foo":"\\ud83d\\ude00"}',
    "tabs": '{\t"ignition":\t{"version":"3.4.0"},\n\t"foo": 1}',
    "escaped key": '{"ignition":{"version":"3.4.0"},"f\\u006fo":""}',
    "a long key": '{"ignition":{"version":"3.4.0"},"passwd":{},"foo":1,"%s":1}' % ("x" * 2000),
}


@pytest.mark.parametrize("text", NO_YAML.values(), ids=NO_YAML)
@pytest.mark.parametrize("place", ["merge: [{inline: %s}]", "replace: {inline: %s}"])
def test_unknown_keys_are_reported(text: str, place: str) -> None:
    document = HEAD + f"ignition: {{config: {{{place % json.dumps(text)}}}}}\n"
    entries = list(translate(document).report)
    assert ("warning", "unused key foo", "$.foo") in [entry[:3] for entry in entries]


def test_places() -> None:
    text = '{"ignition": {"version": "3.4.0"},\n "é": 1, "foo": "a\\/b",\n\t"storage": {"files": [ {"mode": 1}]}}'
    assert list(validate(text)) == [
        Entry("error", "path not specified", "$.storage.files.0.path", 3, 26),
        Entry("warning", "unused key é", "$.é", 2, 2),
        Entry("warning", "unused key foo", "$.foo", 2, 11),
    ]


@pytest.mark.parametrize("values", ["[]", "1", '"\\\\"', '{"a":[{}]}'])
def test_large_configs_take_no_time(values: str) -> None:
    text = '{"ignition": {"version": "3.4.0"}, "x": [' + ",".join([values] * 20_000) + "]}"
    start = time.process_time()
    validate(text)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("number", ["1.5", "420.0", "1e2", "99999999999999999999", "-9223372036854775809"])
def test_a_number_that_is_no_integer_is_named(number: str) -> None:
    text = '{"ignition":{"version":"3.4.0"},"storage":{"files":[{"path":"/a","mode":NUMBER}]}}'.replace(
        "NUMBER", number
    )
    entries = list(validate(text))
    assert [entry.message for entry in entries if entry.severity == "error"] != []
    assert f"json: cannot unmarshal number {number} into" in str(entries[0])


def test_a_number_where_none_is_wanted() -> None:
    (entry, *_) = validate('{"ignition":{"version":"3.4.0"},"storage":{"files":[{"path":1.5}]}}')
    assert "json: cannot unmarshal number into" in entry.message


@pytest.mark.parametrize(
    ("advertisement", "good"), [('{"a": [1, "1e999"]}', True), ("1e999", False), ('{"a": -1E+999}', False)]
)
def test_an_advertisement_is_json_that_can_be_held(advertisement: str, good: bool) -> None:
    luks = {"name": "x", "device": "/dev/x", "clevis": {"tang": [{"url": "http://t", "thumbprint": "t"}]}}
    luks["clevis"]["tang"][0]["advertisement"] = advertisement  # type: ignore[index]
    text = json.dumps({"ignition": {"version": "3.4.0"}, "storage": {"luks": [luks]}})
    messages = [entry.message for entry in validate(text)]
    assert ("advertisement is not valid JSON" not in messages) is good
