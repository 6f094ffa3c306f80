"""Container Linux Config's odd corners, as ct has them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nodisk.butane import clc, gourl, translate, unitfile

TEMPLATE = "etcd: {version: 3.3.0, name: '%s'}\n"


def messages(text: str, **options: Any) -> list[str]:
    return [entry.message for entry in clc.translate(text, **options).report]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("HTTP://Example/ü b#", "http://Example/%C3%BC%20b"),
        ("http://h/a%2fb%c3%bc", "http://h/a%2fb%c3%bc"),
        ("http://h/!'()*[]", "http://h/!'()*[]"),
        ("http://h/!'()*[] ", "http://h/%21%27%28%29%2A%5B%5D%20"),
        ("http://h/a?", "http://h/a?"),
        ("http://h/a?ü #ü?", "http://h/a?ü #%C3%BC?"),
        ("http://%c3%9c:p%40q@h:80/", "http://%C3%9C:p%40q@h:80/"),
        ("http://a!b@ü.example", "http://a%21b@%C3%BC.example"),
        ("http://[fe80::1%25en0]:8/", "http://[fe80::1%25en0]:8/"),
        ("HTTP:Opaque ü", "http:Opaque ü"),
        ("http:///x", "http:///x"),
        ("http:/x", "http:/x"),
        ("http://", "http:"),
        ("http://@h", "http://@h"),
        ("data:,a%zz b", "data:,a%zz b"),
        ("*", "*"),
        ("///a b", "///a%20b"),
        ("http://h/#\x01", "http://h/#%01"),
    ],
)
def test_a_url_as_go_writes_it(text: str, written: str) -> None:
    assert gourl.normal(text) == written


def test_only_a_remote_file_is_written_anew() -> None:
    url = "HTTP://Example/ü b#"
    text = json.dumps(
        {
            "storage": {"files": [{"path": "/a", "mode": 0, "contents": {"remote": {"url": url}}}]},
            "ignition": {"config": {"append": [{"source": url}]}},
        }
    )
    config: Any = clc.translate(text).ignition
    assert config["storage"]["files"][0]["contents"]["source"] == "http://Example/%C3%BC%20b"
    assert config["ignition"]["config"]["append"][0]["source"] == url


def test_a_control_character_in_a_fragment() -> None:
    text = 'variant: fcos\nversion: 1.5.0\nstorage: {files: [{path: /a, contents: {source: "http://x/%s"}}]}\n'
    assert translate(text % "#\\x01").ignition is not None
    assert "unable to parse url" in str(translate(text % "\\x01#").report)


@pytest.mark.parametrize(
    ("section", "at", "written"),
    [
        ("storage: {raid: [{level: raid1}]}", ("storage", "raid"), '{"devices":null,"level":"raid1","name":""}'),
        ("storage: {raid: [{level: '0', devices: []}]}", ("storage", "raid"), '{"devices":null,"level":"0","name":""}'),
        ("passwd: {groups: [{gid: 5}]}", ("passwd", "groups"), '{"gid":5,"name":""}'),
        ("passwd: {groups: [{gid: 5, name: }]}", ("passwd", "groups"), '{"gid":5,"name":""}'),
    ],
)
def test_what_is_always_written(section: str, at: tuple[str, str], written: str) -> None:
    config: Any = clc.translate(section).ignition
    assert json.dumps(config[at[0]][at[1]][0], separators=(",", ":")) == written
    older: Any = clc.translate(section, to="2.2.0").ignition
    assert "name" not in older[at[0]][at[1]][0]


@pytest.mark.parametrize(
    ("size", "result"),
    [
        ("1GiB512MiB", 1536),
        ("1GB512MB", 1536),
        ("1GiB512MB", "units: unknown unit GiB in 1GiB512MB"),
        ("1GB512MiB", "units: unknown unit MiB in 1GB512MiB"),
    ],
)
def test_sizes(size: str, result: int | str) -> None:
    text = f"storage: {{disks: [{{device: /a, partitions: [{{size: {size}}}]}}]}}"
    if isinstance(result, str):
        assert messages(text) == [result]
    else:
        assert f'"sizeMiB":{result}' in clc.translate(text).json()


@pytest.mark.parametrize(("contents", "warned"), [("# only\n", 0), ("[Unit]\n", 0), ("[Unit]\nA=b\n", 1)])
def test_a_unit_without_options_is_no_unit_without_install_section(contents: str, warned: int) -> None:
    unit = {"name": "a.service", "enabled": True, "contents": contents}
    text = json.dumps({"systemd": {"units": [unit]}})
    assert [len(messages(text, to=to)) for to in ("2.1.0", "2.2.0", "2.3.0")] == [0, warned, warned]
    assert len(translate("variant: fcos\nversion: 1.5.0\n" + f"systemd: {json.dumps({'units': [unit]})}\n").report) == 1


def test_every_space_behind_a_section_is_one() -> None:
    assert unitfile.sections("[Unit]\u00a0\u2003 \nA=b\n") == {"Unit"}
    with pytest.raises(unitfile.UnitError, match="garbage"):
        unitfile.sections("[Unit]\x1f\nA=b\n")


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("a.b.c", ['strconv.ParseInt: parsing "a": invalid syntax']),
        ("1.2", ["1.2 is not in dotted-tri format"]),
        ("2.3.0-rc1", ["Etcd version specified is not valid (too old)"]),
        ("2.3.1-rc1", []),
        ("3.0.0-", []),
    ],
)
def test_versions_of_etcd(version: str, said: list[str]) -> None:
    assert messages(f"etcd: {{version: {version}}}") == said


def test_a_version_is_written_plainly() -> None:
    assert "ETCD_IMAGE_TAG=v3.3.0+a-b" in clc.translate("etcd: {version: 03.3.0-+a-b}").json()


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("{HOSTNAME}-{PUBLIC_IPV4}", "${COREOS_EC2_HOSTNAME}-${COREOS_EC2_IPV4_PUBLIC}"),
        ("{A{B}", None),
        ("}{X}", "}{X}"),
        ("{HOSTNAME}}{X}", None),
        ("{HOSTNAME}}{HOSTNAME", "${COREOS_EC2_HOSTNAME}}{HOSTNAME"),
        ("{HOSTNAME", "{HOSTNAME"),
        ("{}", None),
    ],
)
def test_templates(name: str, result: str | None) -> None:
    translated = clc.translate(TEMPLATE % name, platform="ec2")
    if result is None:
        assert [entry.message for entry in translated.report] == ["unknown field"]
    else:
        assert f'--name=\\"{result}\\"' in translated.json()


@pytest.mark.parametrize(
    ("config", "good"),
    [
        ('{"a": 1}', True),
        ("null", True),
        ('{"a": NaN}', False),
        ('{"a": -Infinity}', False),
        ("[]", False),
        ("5", False),
        ("{", False),
    ],
)
def test_network_config(config: str, good: bool) -> None:
    said = messages(json.dumps({"flannel": {"network_config": config}}))
    assert said == ([] if good else ["flannel network config doesn't appear to be valid JSON"])
