"""Which texts are the same version, and which are none."""

from __future__ import annotations

import json

import pytest

from nodisk.butane import semver, translate, validate

NOT_ONE = "error parsing version; must be a valid semver"


@pytest.mark.parametrize("text", ["1.5.0", "01.5.00", "1.5.0-", "1.5.0+", "1.5.0-+"])
def test_the_same_version(text: str) -> None:
    assert translate(f"variant: fcos\nversion: '{text}'\n").json() == '{"ignition":{"version":"3.4.0"}}'


@pytest.mark.parametrize(
    "text",
    [
        "+1.5.0",
        "1.+5.0",
        "1.-5.0",
        "1.5.0-a..b",
        "1.5.0-a_b",
        "1.5.0+a+b",
        f"1.5.{2**63}",
        "1.5",
        "1.5.0.0",
        "1.5.x",
        "1.5.-0",
        "1. 5.0",
        "1.5.\u0660",
        "0" * 5000 + "1.5",
    ],
)
def test_no_version(text: str) -> None:
    assert translate(f"variant: fcos\nversion: '{text}'\n").report.failure == NOT_ONE


@pytest.mark.parametrize(("text", "shown"), [("1.5.0-a.b", None), ("01.5.0+a", "1.5.0+a"), (f"1.5.{2**63 - 1}", None)])
def test_an_unknown_version(text: str, shown: str | None) -> None:
    said = f"No translator exists for variant fcos with version {shown or text}"
    assert translate(f"variant: fcos\nversion: '{text}'\n").report.failure == said


def test_many_zeros() -> None:
    assert semver.parse("0" * 5000 + "1.5.0") == semver.Version(1, 5, 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("3.4.0", None),
        ("3.04.0", None),
        ("3.4.0-", None),
        ("3.4.0-a", "unsupported config version"),
        ("3.9.0", "unsupported config version"),
        ("3.4", "invalid config version (couldn't parse)"),
        ("3.4.0-a..b", "invalid config version (couldn't parse)"),
    ],
)
def test_ignition(text: str, said: str | None) -> None:
    config = {"ignition": {"version": text}}
    assert validate(config).failure == said
    inline = f"ignition: {{config: {{merge: [{{inline: '{json.dumps(config)}'}}]}}}}\n"
    messages = [entry.message for entry in translate("variant: fcos\nversion: 1.5.0\n" + inline).report]
    if said == "unsupported config version":
        said = "skipping validation for the merge/replace ignition config due to an unkown version"
    assert messages == ([said] if said else [])
