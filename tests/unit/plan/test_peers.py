"""What `peers` in lab.yaml changes in the plan, and that nothing changes without it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from nodisk.plan import boot, containers
from nodisk.plan.daemons_files import configure, usual_host
from nodisk.plan.facts import AssetRef, Facts, ImageFacts, ReleaseFacts
from nodisk.spec.model import Lab
from nodisk.spec.model_peers import Rate
from nodisk.values import KubeVersion, Role

OFF = Lab.model_validate(
    {
        "name": "room",
        "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
        "machines": [{"name": "cp1", "mac": "52:54:00:77:00:0b", "address": "10.77.0.11", "role": "control-plane"}],
    }
)
ON = Lab.model_validate({**OFF.model_dump(mode="json", exclude_none=True), "peers": {"rate": "80M"}})
IMAGE_ALONE = Lab.model_validate(
    {**OFF.model_dump(mode="json", exclude_none=True), "peers": {"rate": "80M", "layers": False}}
)
SWITCHED_OFF = Lab.model_validate({**OFF.model_dump(mode="json", exclude_none=True), "peers": "off"})
ASSET = AssetRef("root.squashfs", "a" * 64, 100 << 20)
FACTS = Facts(
    "CA\n",
    ImageFacts(ASSET, ASSET, ASSET, "6.12", 300 << 20, "1.7.24", AssetRef("root.chunks", "c" * 64, 30_000)),
    ReleaseFacts(KubeVersion(1, 36, 1), "upstream", (), ASSET),
)


def test_the_example_of_the_docs() -> None:
    page = Path(__file__).parents[3] / "docs/how-to/peers.md"
    example = re.search(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    written = yaml.safe_load(example[1])
    found = Lab.model_validate({**OFF.model_dump(mode="json", exclude_none=True), **written}).peers
    assert found is not None
    assert found.rate == Rate(200_000_000)
    assert found.layers
    assert set(written["peers"]) == set(type(found).model_fields)


def test_the_command_line_names_the_manifest_by_its_hash() -> None:
    line = boot.command_line(ON, FACTS, ON.machines[0], None)
    assert f" nodisk.chunks={'c' * 64} nodisk.peers=6448:10000000 " in line
    assert f"nodisk.sha256={'a' * 64}" in line, "the whole file's hash stays"


def test_an_image_without_manifest_boots_as_before() -> None:
    without = replace(FACTS, image=replace(FACTS.image, chunks=None))
    assert "nodisk.peers" not in boot.command_line(ON, without, ON.machines[0], None)
    assert boot.command_line(OFF, FACTS, OFF.machines[0], None) == boot.command_line(
        OFF, without, OFF.machines[0], None
    )


def test_only_then_nginx_and_the_firewall_know_of_it() -> None:
    for lab, there, layers in ((ON, True, True), (IMAGE_ALONE, True, False), (OFF, False, False)):
        host = usual_host(lab, Path("/var/lib/nodisk/labs/room"), Path("/var/lib/nodisk/assets/objects"))
        assert ("location = /peers { proxy_pass" in configure(lab, host)["nginx.conf"]) is there
        assert ("location /peers/v2/ {" in configure(lab, host)["nginx.conf"]) is layers
        assert ("{ 6448, 6449 }" in containers.firewall(lab, names=False)) is there


@pytest.mark.parametrize(
    ("text", "bits", "shown"),
    [("200M", 200_000_000, "200M"), ("1 Gbit/s", 10**9, "1G"), ("1500kbps", 1_500_000, "1500K")],
)
def test_rates(text: str, bits: int, shown: str) -> None:
    assert Rate.parse(text).bits == bits
    assert str(Rate.parse(text)) == shown
    assert Rate.parse(shown) == Rate.parse(text)


@pytest.mark.parametrize("text", ["0M", "200", "fast", "-1M", "200MB/s", "", "9999999M"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match="is no rate"):
        Rate.parse(text)


def test_off_is_as_good_as_nothing() -> None:
    assert SWITCHED_OFF == OFF


def test_layers_only_between_workers_whose_containerd_gives_up() -> None:
    worker = ON.machines[0].model_copy(update={"role": Role.WORKER})
    old = replace(FACTS, image=replace(FACTS.image, containerd="1.6.20"))
    assert containers.gives_layers(ON, FACTS, worker)
    assert not containers.gives_layers(ON, FACTS, ON.machines[0]), "a control plane boots as ever"
    assert not containers.gives_layers(ON, old, worker)
    assert not containers.gives_layers(OFF, FACTS, worker)
    assert not containers.gives_layers(IMAGE_ALONE, FACTS, worker)
