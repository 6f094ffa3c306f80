"""docs/reference/butane.md is what the description gives, and names every key."""

from __future__ import annotations

from pathlib import Path

from nodisk.butane import reference
from nodisk.butane.compiled import butane
from nodisk.butane.fields import VERSIONS
from nodisk.butane.schema import CStruct

PAGE = Path(__file__).parents[3] / "docs/reference" / reference.NAME


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference.page(), (
        "docs/reference/butane.md is stale: python -m nodisk.butane.reference write docs/reference"
    )


def keys(struct: CStruct) -> set[str]:
    inner = (field.item for field in struct.by_name.values() if isinstance(field.item, CStruct))
    return set(struct.by_name).union(*(keys(one) for one in inner))


def test_every_key_of_every_version_is_on_it() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for variant, versions in VERSIONS.items():
        for version, spec in versions.items():
            assert f"| {variant} | {version} | 3.{spec}.0 |" in page
            minor = int(version.split(".")[1]) if variant == "fcos" else None
            for key in keys(butane(spec, minor)):
                assert f"| `{key}` |" in page, key
