"""The versions of etcd and flannel choose their options, wherever they stand. Each right value was taken from ct."""

from __future__ import annotations

import pytest

from nodisk.butane import clc

OPTIONS = "ExecStart=/usr/lib/coreos/etcd-wrapper $ETCD_OPTS"


def dropin(text: str, to: str = "2.3.0") -> str:
    """The only drop-in of a document without messages."""
    result = clc.translate(text, to=to)
    assert result.ignition is not None, str(result.report)
    assert not result.report.entries, str(result.report)
    (unit,) = result.ignition["systemd"]["units"]  # type: ignore[index]
    return str(unit["dropins"][0]["contents"])


def said(text: str) -> list[str]:
    result = clc.translate(text)
    assert result.ignition is None
    return [entry.message for entry in result.report]


@pytest.mark.parametrize(
    ("text", "tag", "options"),
    [
        ("etcd: {version: &v 3.3.1, max_txn_ops: 5, name: *v}\n", "v3.3.1", ["--name", "--max-txn-ops"]),
        ("etcd: {name: &v 3.3.1, version: *v, max_txn_ops: 5}\n", "v3.3.1", ["--name", "--max-txn-ops"]),
        ("etcd: {<<: {version: 3.3.1, name: x}, max_txn_ops: 5}\n", "v3.3.1", ["--name", "--max-txn-ops"]),
        ("etcd: {<<: [{name: x}, {version: 3.3.1}], max_txn_ops: 5}\n", "v3.3.1", ["--name", "--max-txn-ops"]),
        ("<<: {etcd: {version: 3.3.1}}\netcd: {name: x, max_txn_ops: 5}\n", "v3.3.1", ["--name", "--max-txn-ops"]),
        ("etcd: {version: 3.3.1}\n---\netcd: {version: 2.3.0}\n", "v3.3.1", []),
        ("etcd: {version: 3.0.0, version: 3.3.1, max_txn_ops: 5}\n", "v3.3.1", ["--max-txn-ops"]),
        ("flannel: {<<: {version: 0.7.0}, kube_subnet_mgr: true}\n", "v0.7.0", ["--kube-subnet-mgr"]),
    ],
)
@pytest.mark.parametrize("to", ["2.1.0", "2.2.0", "2.3.0"])
def test_the_options_of_the_version_that_is_meant(text: str, tag: str, options: list[str], to: str) -> None:
    result = clc.translate(text, to=to)
    assert result.ignition is not None, str(result.report)
    contents = result.ignition["systemd"]["units"][0]["dropins"][0]["contents"]  # type: ignore[index]
    assert f"IMAGE_TAG={tag}" in contents
    assert [word.split("=")[0] for word in contents.split() if word.startswith("--")] == options


def test_a_version_without_options() -> None:
    assert dropin("etcd: {version: 3.1.0}\n").endswith(OPTIONS)
    assert dropin("etcd: ~\n").endswith(OPTIONS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('v: &v "3.1"\netcd:\n  version: *v\n', "3.1 is not in dotted-tri format"),
        ("etcd:\n   version: 1\n   version: 3.3.1\n", "1 is not in dotted-tri format"),
        ("etcd: {version: 1}\netcd: {version: 3.3.1}\n", "1 is not in dotted-tri format"),
        ("etcd: {version: 3.3.1, <<: {version: 1}}\n", "1 is not in dotted-tri format"),
        ("etcd: {version: ~}\n", " is not in dotted-tri format"),
        ("flannel: &f {<<: *f}\n", "yaml: anchor 'f' value contains itself"),
        ("etcd: &e {version: *e}\n", "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!map into string"),
        ("etcd: {version: *v}\n", "yaml: unknown anchor 'v' referenced"),
        ("update: {group: !!float 1}\n", "yaml: cannot decode !!int `1` as a !!float"),
        ("  systemd:\n    units: []\nstorage: {}\n", "yaml: line 2: did not find expected <document start>"),
        ("systemd: {units: []}\n...\nstorage: {}\n", "yaml: line 2: did not find expected <document start>"),
        ("systemd: {units: []}\n...\n\t", "yaml: line 2: found character that cannot start any token"),
        ("systemd: {units: []}\n--- a: b\n", None),
    ],
)
def test_what_is_refused(text: str, message: str | None) -> None:
    if message is None:
        assert clc.translate(text).ignition is not None
    else:
        assert said(text) == [message]
