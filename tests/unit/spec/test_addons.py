"""``addons:`` in lab.yaml: what is wrong with it is said with its line and column."""

from pathlib import Path

import pytest
from tests.unit.spec.labs import TEN_LINES, lab

from nodisk.backup.contents import named
from nodisk.errors import SpecError
from nodisk.spec.load import load, parse

HASH = "0" * 64
LINE = len(TEN_LINES.splitlines()) + 2


def problems(*entries: str) -> str:
    with pytest.raises(SpecError) as caught:
        parse(TEN_LINES + "addons:\n" + "".join(f"- {entry}\n" for entry in entries), file="lab.yaml")
    return str(caught.value)


def test_paths_are_relative_to_lab_yaml_and_are_backed_up(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/a.yaml").write_text("")
    entries = (
        f"addons:\n- {{name: web, manifest: {{path: web.yaml, sha256: '{HASH}'}}}}\n- {{name: tools, path: tools}}\n"
    )
    (tmp_path / "lab.yaml").write_text(TEN_LINES + entries)
    found = load(tmp_path / "lab.yaml")
    web, tools = found.addons
    assert web.manifest is not None
    assert (web.manifest.path, tools.path) == (tmp_path / "web.yaml", tmp_path / "tools")
    assert list(named(found)) == [tmp_path / "web.yaml", tmp_path / "tools/a.yaml"]


@pytest.mark.parametrize(
    ("entry", "place", "text"),
    [
        ("{name: web}", "3: addons[0]", "the add-on web has no content"),
        (f"{{name: web, path: x, manifest: {{path: y, sha256: '{HASH}'}}}}", "15: addons[0].path", "both manifest"),
        ("{name: web, manifest: {path: y, sha256: abc}}", "43: addons[0].manifest.sha256", "is not a SHA-256 hash"),
        ("{name: Web_1, path: x}", "10: addons[0].name", ""),
        (f"{{name: {'w' * 51}, path: x}}", "10: addons[0].name", "too long for an add-on"),
        ("{name: web, paht: x}", "15: addons[0].paht", ""),
        ("{path: x}", "3: addons[0]", "name"),
    ],
)
def test_bad_entries(entry: str, place: str, text: str) -> None:
    said = problems(entry)
    assert f"lab.yaml:{LINE}:{place}" in said
    assert text in said


def test_no_two_share_a_name() -> None:
    said = problems("{name: web, path: x}", "{name: web, path: y}")
    assert f"lab.yaml:{LINE + 1}:10: addons[1].name: the name web is also on line {LINE}" in said


def test_plain_machines_have_no_add_ons() -> None:
    text = lab(top="addons:\n- {name: web, path: x}").replace("  network: routed\n", "  engine: none\n")
    with pytest.raises(SpecError, match="`addons` has no effect with engine: none"):
        parse(text, file="lab.yaml")
