"""``class_registry`` in lab.yaml."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from nodisk.errors import SpecError
from nodisk.spec.load import parse

PAGE = Path(__file__).parents[3] / "docs/how-to/class-registry.md"
LAB = """\
name: room
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
machines:
  - {name: cp1, mac: 52:54:00:77:00:0b, address: 10.77.0.11, role: control-plane}
"""


def test_the_docs_example() -> None:
    example = re.search(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert example is not None
    found = parse(LAB + example[1], file=Path("lab.yaml")).class_registry
    assert found is not None
    assert (str(found.size), str(found.per_namespace)) == ("20Gi", "2Gi")
    assert {str(key) for key in yaml.safe_load(example[1])["class_registry"]} == set(type(found).model_fields)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("class_registry: {}\n", "size"),
        (
            "class_registry: {size: 1GiB}\n",
            "class_registry.size: one namespace may have 2Gi, and all of them together 1Gi",
        ),
        ("class_registry: {size: much}\n", "not a size"),
        ("class_registry: {size: 9GiB}\nkubernetes: {engine: none}\n", "no effect with engine: none"),
    ],
)
def test_what_is_wrong(more: str, why: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(LAB + more, file=Path("lab.yaml"))
    assert why in str(caught.value)
