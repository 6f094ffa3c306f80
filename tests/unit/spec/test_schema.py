"""The published schema and reference are current, and the schema agrees with the parser."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from tests.unit.spec.labs import KEY, TEN_LINES, lab

from nodisk.spec import schema
from nodisk.spec.load import examine

ROOT = Path(__file__).parents[3]
AGAIN = "run: python -m nodisk.spec.schema write docs/reference"


class Core(yaml.SafeLoader):
    """YAML 1.2's core schema, as editors read it: no sexagesimal numbers, no `yes` as a boolean."""


Core.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag.rpartition(":")[2] in ("float", "null", "merge")]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Core.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?\d+$"), list("-+0123456789"))
Core.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("(true|false)$"), list("tf"))


def core(text: str) -> object:
    return yaml.load(text, Core)  # noqa: S506 - a SafeLoader with other resolvers


VALIDATOR = jsonschema.Draft202012Validator(schema.schema())


def test_schema_is_current() -> None:
    assert (ROOT / "docs/reference/lab.schema.json").read_text() == schema.schema_text(), AGAIN


def test_reference_is_current() -> None:
    assert (ROOT / "docs/reference/lab-yaml.md").read_text() == schema.reference(), AGAIN


def test_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(schema.schema_text()))


def test_example_of_the_reference() -> None:
    text = schema.reference().split("```yaml\n")[1].split("```")[0]
    assert len(text.splitlines()) == 10
    assert examine(text, file="x")[1] == []


FULL = f"""\
name: room
network: {{subnet: 10.77.0.0/24, server: 10.77.0.1, interface: eth0, gateway: 10.77.0.254, dns: [9.9.9.9], dhcp: none}}
kubernetes: {{source: path, version: 1.30, path: release, pods: 10.1.0.0/16, services: 10.2.0.0/16, network: cilium,
  network_manifest: {{path: cilium.yaml, sha256: {"ab" * 32}}}}}
os: {{image: debian, suite: trixie, kernel: cloud, packages: [htop], firmware: [firmware-realtek], mirror: "http://m/d"}}
ssh_keys: [{KEY}]
butane: "storage: {{}}"
roles: {{worker: {{butane: "storage: {{}}"}}}}
machines:
- name: cp1
  mac: 52-54-00-AB-00-01
  address: 10.77.0.11
  role: control-plane
  memory: 2 GiB
  cpus: 4
  labels: {{a: b, n: 7, y: yes}}
  taints: [{{key: a, value: b, effect: NoSchedule}}, {{key: c, effect: NoExecute}}]
  butane: "storage: {{}}"
virtual: {{firmware: uefi, cpu: max}}
"""


@pytest.mark.parametrize(
    "text",
    [TEN_LINES, FULL, lab(), *(path.read_text() for path in sorted((ROOT / "examples").glob("*.yaml")))],
)
def test_accepts_what_the_parser_accepts(text: str) -> None:
    assert examine(text, file="x")[1] == []
    # Editors read YAML their own way: without the parser's knowledge that a scalar is its text.
    assert [error.message for error in VALIDATOR.iter_errors(core(text))] == []


@pytest.mark.parametrize(
    "text",
    [
        TEN_LINES + "gateway: 1.2.3.4\n",
        TEN_LINES.replace("name: room\n", ""),
        TEN_LINES.replace("role: control-plane", "role: master"),
        TEN_LINES.replace("name: w1", "name: W_1"),
        TEN_LINES.replace("mac: 52:54:00:00:00:02", "mac: 52:54:00"),
        "name: x\nnetwork: {subnet: 10.0.0.0/24, server: 10.0.0.1}\nmachines: []\n",
        lab(machine="cpus: 0"),
        lab(machine="cpus: many"),
        lab(machine="memory: lots"),
        lab(machine="labels: [a]"),
        lab(machine="taints: [{key: a, effect: Some}]"),
        lab(network="  dns: 9.9.9.9"),
        lab(top="os: {kernel: big}"),
        lab(top="roles: {master: {}}"),
        lab(kubernetes="  version: latest"),
        "- a\n",
    ],
)
def test_refuses_what_the_parser_refuses(text: str) -> None:
    assert examine(text, file="x")[1] != []
    assert list(VALIDATOR.iter_errors(core(text))) != []
