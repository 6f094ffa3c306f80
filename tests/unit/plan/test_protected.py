"""What of the image a snippet may not change, by whatever way; and what it may."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.plan.test_boot import facts

from nodisk import node
from nodisk.errors import SpecError
from nodisk.plan import ignition, protected, snippets
from nodisk.spec.load import parse

BASE: dict[str, Any] = {"ignition": {"version": "3.3.0"}}
LAB = """\
name: room
network: {{subnet: 192.168.10.0/24, server: 192.168.10.2}}
machines:
  - {{name: cp1, mac: "8c:ec:4b:00:00:04", address: 192.168.10.11, role: control-plane, memory: 4GiB}}
butane: |
  variant: fcos
  version: 1.4.0
{snippet}
"""


def problems(snippet: str) -> str:
    text = LAB.format(snippet="\n".join(f"  {line}" for line in snippet.strip("\n").splitlines()))
    lab = parse(text, file=Path("lab.yaml"))
    try:
        snippets.apply(lab, lab.machines[0], BASE)
    except SpecError as error:
        return error.message
    return ""


def unit(name: str, rest: str) -> str:
    return f"systemd:\n  units:\n    - name: {name}\n      {rest}\n"


def stored(part: str, entry: str) -> str:
    return f"storage:\n  {part}:\n    - {entry}\n"


@pytest.mark.parametrize("name", sorted({*protected.PACKAGED_UNITS, "kubelet.service", "nodisk-enrol.service"}))
@pytest.mark.parametrize("rest", ["mask: true", "enabled: false", 'contents: "[Service]"'])
def test_the_images_units_are_neither_masked_nor_disabled_nor_replaced(name: str, rest: str) -> None:
    assert f"butane: unit {name}: " in problems(unit(name, rest))


@pytest.mark.parametrize(
    "entry",
    [
        ("files", "{path: /usr/lib/nodisk/enrol, overwrite: true, contents: {inline: x}}"),
        ("files", "{path: /lib/nodisk/enrol, append: [{inline: x}]}"),
        ("files", "{path: /usr/lib/nodisk/new, contents: {inline: x}}"),
        ("files", "{path: /usr/bin/kubelet, overwrite: true, contents: {inline: x}}"),
        ("files", "{path: /bin/containerd, mode: 0}"),
        ("files", "{path: /etc/systemd/system/kubelet.service, contents: {inline: x}}"),
        ("files", "{path: /lib/systemd/system/nodisk-report.service, contents: {inline: x}}"),
        ("files", '{path: /etc/systemd/system/kubelet.service.d/x.conf, contents: {source: "http://a/b"}}'),
        ("files", "{path: /usr/local/lib/systemd/system/kubelet.service, contents: {inline: x}}"),
        ("files", "{path: /etc/systemd/system.control/kubelet.service, contents: {inline: x}}"),
        ("files", "{path: /run/systemd/transient/kubelet.service, contents: {inline: x}}"),
        ("files", '{path: "/etc/systemd/system/nodisk-failed@x.service", contents: {inline: x}}'),
        ("files", "{path: /proc/self/root/usr/lib/nodisk/enrol, contents: {inline: x}}"),
        ("links", "{path: /etc/systemd/system/kubelet.service, target: /dev/null}"),
        ("links", "{path: /etc/systemd/system/kubelet.service.d, target: /srv/x}"),
        ("links", "{path: /etc/systemd/system/containerd.service.d/x.conf, target: /etc/x}"),
        ("links", "{path: /usr/lib/nodisk, target: /tmp, overwrite: true}"),
        ("links", "{path: /usr, target: /tmp, overwrite: true}"),
        ("directories", "{path: /usr/lib/nodisk, mode: 0700}"),
        ("directories", "{path: /usr/lib, overwrite: true}"),
    ],
    ids=lambda entry: entry[1],
)
def test_the_images_programs_and_units_are_not_written_over(entry: tuple[str, str]) -> None:
    found = problems(stored(*entry))
    assert re.match("butane: (file|link|directory) /", found), found


@pytest.mark.parametrize("name", ["usr.mount", "usr-lib-nodisk.mount", "usr-bin.mount", "-.mount", "lib-nodisk.mount"])
def test_nothing_is_mounted_over_them(name: str) -> None:
    assert "mounts over" in problems(unit(f'"{name}"', 'contents: "[Mount]"'))


@pytest.mark.parametrize("setting", ["ExecStart", "ExecStartPre", "Type", "ConditionPathExists", "User"])
def test_a_drop_in_does_not_decide_what_runs(setting: str) -> None:
    text = f"[Service]\\n{setting}=x\\n"
    as_file = f'{{path: /etc/systemd/system/kubelet.service.d/x.conf, contents: {{inline: "{text}"}}}}'
    assert f"its drop-in x.conf sets {setting}=" in problems(stored("files", as_file))
    found = problems(unit("kubelet.service", f'dropins: [{{name: x.conf, contents: "[Service]\\n{setting}=x\\n"}}]'))
    assert f"its drop-in x.conf sets {setting}=" in found


@pytest.mark.parametrize(
    "snippet",
    [
        unit(
            "kubelet.service", 'dropins: [{name: x.conf, contents: "[Service]\\nEnvironment=GOGC=50\\nMemoryMax=1G"}]'
        ),
        unit("kubelet.service", "enabled: true"),
        unit("mine.service", 'contents: "[Service]\\nExecStart=/bin/true"'),
        unit("ssh.service", "mask: true"),
        unit("var-lib-scratch.mount", 'contents: "[Mount]\\nWhat=/dev/sda1\\nWhere=/var/lib/scratch\\nType=xfs"'),
        stored("files", "{path: /usr/local/bin/mine, mode: 0755, contents: {inline: x}}"),
        stored(
            "files", '{path: /etc/systemd/system/kubelet.service.d/x.conf, contents: {inline: "[Service]\\nNice=5"}}'
        ),
        stored("files", "{path: /etc/systemd/system/socket.d/x.conf, contents: {inline: ExecStart=/bin/true}}"),
        stored("files", '{path: "/etc/systemd/system/mine@.service", contents: {inline: x}}'),
        unit(
            "containerd.service", 'dropins: [{name: x.conf, contents: "[Service]\\nEnvironment=HTTPS_PROXY=http://p"}]'
        ),
        stored("directories", "{path: /usr/lib}"),
        stored("directories", "{path: /srv/data, mode: 0777}"),
        stored("links", "{path: /etc/localtime, target: ../usr/share/zoneinfo/Europe/Warsaw, overwrite: true}"),
    ],
)
def test_what_may_be_done(snippet: str) -> None:
    assert problems(snippet) == ""


def test_all_that_nodisk_brings_is_known() -> None:
    for path in node.IMAGE.rglob("*"):
        if path.is_file():
            inside = "/" + path.relative_to(node.IMAGE).as_posix()
            assert list(protected.changed({"storage": {"files": [{"path": inside, "mode": 0}]}})), inside


SPELLINGS = st.lists(st.sampled_from(["", ".", "x/..", "nodisk/.."]), max_size=4)


@given(SPELLINGS, SPELLINGS, st.sampled_from(["/usr/lib", "/lib"]))
def test_however_a_path_is_spelled(before: list[str], after: list[str], base: str) -> None:
    path = "/".join([base, *before, "nodisk", *after, "enrol"])
    assert protected.normal(path).as_posix() == "/usr/lib/nodisk/enrol"
    assert list(protected.changed({"storage": {"files": [{"path": path}]}}))


def test_bench_leaves_kubernetes_off_without_a_snippet() -> None:
    """Its machines without Kubernetes are nodisk's own doing: the units are masked by nodisk's Ignition itself."""
    lab = parse(LAB.format(snippet=""), file=Path("lab.yaml"))
    off = ("containerd.service", "kubelet.service", "nodisk-control-plane.service")
    masked = {
        one["name"]: one
        for one in ignition.config(lab, replace(facts(), masked=off), lab.machines[0])["systemd"]["units"]
        if one.get("mask")
    }
    assert masked == {name: {"name": name, "mask": True} for name in off}
