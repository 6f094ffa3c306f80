"""The server that is a machine whose power is cut: what it is told, what it says, and what runs in it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import power_guest, power_image, power_machine
from tests.support.power_image import Image
from tests.support.power_parts import PARTS, Part
from tests.support.power_said import Said

from nodisk.errors import EnvironmentProblem
from nodisk.machines.qemu import Accelerator

TEXTS = st.recursive(
    st.none() | st.integers() | st.text(), lambda some: st.lists(some) | st.dictionaries(st.text(), some)
)


@given(orders=TEXTS)
def test_orders_are_a_disk(orders: object) -> None:
    disk = power_guest.packed(orders)
    assert len(disk) % 512 == 0
    assert power_guest.unpacked(disk) == orders


@given(
    values=st.dictionaries(st.text(), st.none() | st.lists(st.text()), max_size=4),
    cut=st.integers(min_value=1, max_value=10),
)
def test_reports_without_a_line_that_was_cut_short(values: dict[str, object], cut: int) -> None:
    said = b"".join(json.dumps(one).encode() + b"\n" for one in values.items())
    assert power_machine.reports(said) == values
    assert power_machine.reports(said + b'["judged", []]\n'[:-cut]) == values


def test_a_seed_is_one_moment() -> None:
    moments = [power_machine.moment(seed, ["files", "served"]) for seed in range(50)]
    assert moments == [power_machine.moment(seed, ["served", "files"]) for seed in range(50)]
    assert all(0.5 <= moment <= PARTS["files"].longest for moment in moments)
    assert len(set(moments)) == 50
    assert power_machine.moment(7, ["files"], 4) == 4 * power_machine.moment(7, ["files"])


def test_every_writer_has_a_port_of_its_own() -> None:
    names = [name for part in PARTS.values() for name in part.writers]
    assert len({power_guest.REPORTS, *names}) == 1 + len(names)
    words = power_machine.machine_words(Image.of(Path("/image")), Path("/cut"), names, Accelerator.TCG_IN_TURN)
    for name in names:
        assert f"file,id={name},path=/cut/{name}.said" in words
        assert f"virtserialport,chardev={name},name={name}" in words
    assert "tcg,thread=multi" in words
    assert "driver=nbd,node-name=disk,server.type=unix,server.path=/cut/disk.sock" in words


def test_the_disk_keeps_back_what_is_not_flushed() -> None:
    words = power_machine.disk_words(Path("/cut/disk.img"), Path("/cut/disk.sock"))
    assert words[words.index("file") + 1] == "/cut/disk.img"
    assert words.index("--filter=cache") < words.index("--filter=fua"), "the cache is asked to flush first"
    assert {"cache=writeback", "fuamode=discard"} <= {*words}


def test_ports_by_their_names(tmp_path: Path) -> None:
    for number, name in enumerate(("guest", "etcd"), start=1):
        (tmp_path / f"vport2p{number}").mkdir()
        (tmp_path / f"vport2p{number}" / "name").write_text(f"{name}\n")
    assert power_guest.ports(tmp_path) == {"guest": Path("/dev/vport2p1"), "etcd": Path("/dev/vport2p2")}


@contextlib.contextmanager
def nothing(_: Path) -> Iterator[tuple[str, ...]]:
    yield ()


def part(finds: list[str] | Exception) -> Part:
    def judge(disk: Path, said: dict[str, Said]) -> list[str]:
        assert (disk / "there").exists()
        assert said == {"writer": [["event", "1"]]}
        if isinstance(finds, Exception):
            raise finds
        return finds

    return Part(lambda disk: (disk / "there").touch(), {}, nothing, judge, 1.0)


def test_all_parts_are_judged_and_then_taken_away(tmp_path: Path) -> None:
    parts = {"a": part(["lost"]), "b": part(ValueError("no such thing")), "c": part([])}
    disk = tmp_path / "cut"
    power_guest.prepare(disk, ["a", "b", "c"], parts)
    found = power_guest.judge(disk, {name: {"writer": [["event", "1"]]} for name in parts}, parts)
    assert found[0] == "lost"
    assert found[1].startswith("b can't be judged: ")
    assert "no such thing" in found[1]
    assert len(found) == 2
    power_guest.prepare(disk, ["a"], parts)  # for the next cut


def test_the_guest_has_a_servers_packages() -> None:
    listed = (Path(__file__).parents[2] / "tools/packages.txt").read_text().splitlines()
    servers = {line.split()[0] for line in listed if line}
    found = set(power_image.packages())
    assert {"etcd-server", "docker-registry", "nginx", "dnsmasq-base"} <= found
    assert found - servers == {*power_image.GUEST, "chrony"}  # whose program alone this host has
    assert "qemu-system-x86" not in found


def test_python_packages_with_all_that_they_need() -> None:
    found = power_image.needed(["nodisk"])
    assert {"nodisk", "pydantic", "pydantic_core", "typing-extensions"} <= {
        name.replace("-core", "_core") for name in found
    }
    assert "matplotlib" not in found, "extras are left out"
    assert all(metadata.files(name) for name in found)


def test_a_guest_for_this_python() -> None:
    assert {power_image.suite(version).value for version in ((3, 11), (3, 13))} == {"bookworm", "trixie"}
    with pytest.raises(EnvironmentProblem, match=r"Python 3\.99"):
        power_image.suite((3, 99))
