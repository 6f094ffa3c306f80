"""lab.yaml on disk: replaced whole, with its mode, owner and link; never over what somebody else wrote meanwhile."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from tests.unit.spec.labs import TEN_LINES

from nodisk import files
from nodisk.errors import Busy, Changed, NodiskError, SpecError
from nodisk.spec import change as change_
from nodisk.spec import edit
from nodisk.spec.change import Edit, change
from nodisk.spec.model import Lab, Machine

NEW = {"name": "n1", "mac": "52:54:00:aa:00:01", "address": "10.77.0.201"}


def add(text: str, lab: Lab) -> Edit:
    return Edit(edit.add(text, [NEW]), (*lab.machines, Machine.model_validate(NEW)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lab.yaml"
    path.write_text(TEN_LINES)
    return path


def test_through_a_link_with_mode_and_owner_kept(file: Path) -> None:
    file.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(file, 65534, 65534)
    before = file.stat()
    link = file.parent / "elsewhere" / "lab.yaml"
    link.parent.mkdir()
    link.symlink_to("../lab.yaml")
    done = change(link, add)
    assert link.is_symlink()
    now = file.stat()
    assert (stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid) == (0o640, before.st_uid, before.st_gid)
    assert str(done.new.machines[-1].name) == "n1"
    assert file.read_text().startswith(TEN_LINES)
    assert sorted(path.name for path in file.parent.iterdir()) == ["elsewhere", "lab.yaml"]


def test_a_dry_run_shows_the_difference_and_writes_nothing(file: Path) -> None:
    done = change(file, add, dry_run=True)
    assert file.read_text() == TEN_LINES
    assert '+  - name: n1\n+    mac: "52:54:00:aa:00:01"\n+    address: 10.77.0.201\n' in done.diff


def test_windows_files_stay_so(file: Path) -> None:
    written = b"\xef\xbb\xbf" + TEN_LINES.replace("\n", "\r\n").encode()
    file.write_bytes(written)
    change(file, add)
    assert file.read_bytes().startswith(written)
    assert file.read_bytes().count(b"\n") == file.read_bytes().count(b"\r\n") == TEN_LINES.count("\n") + 3


def test_an_editor_that_saves_meanwhile_is_not_overwritten(file: Path) -> None:
    def slow(text: str, lab: Lab) -> Edit:
        file.write_text(TEN_LINES + "# saved\n")
        return add(text, lab)

    with pytest.raises(Changed, match="changed by another program"):
        change(file, slow)
    assert file.read_text() == TEN_LINES + "# saved\n"
    assert [path.name for path in file.parent.iterdir()] == ["lab.yaml"]


def test_one_at_a_time(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_, "WAIT", 0.1)
    with files.lock_folder(file.parent, "a test", wait=0), pytest.raises(Busy, match="by another nodisk"):
        change(file, add)
    change(file, add)


def test_what_would_be_wrong_is_not_written(file: Path) -> None:
    def taken(text: str, lab: Lab) -> Edit:
        twice = {**NEW, "address": "10.77.0.11"}
        return Edit(edit.add(text, [twice]), (*lab.machines, Machine.model_validate(twice)))

    with pytest.raises(SpecError, match=r"left as it is: after this change it would have problems:\n.*lab.yaml:13:14"):
        change(file, taken)
    with pytest.raises(SpecError, match="more than was asked"):
        change(file, lambda text, lab: Edit(add(text, lab).text.replace("w1", "w2"), add(text, lab).machines))
    assert file.read_text() == TEN_LINES


def test_an_alias_that_would_change_along_is_found(file: Path) -> None:
    text = TEN_LINES.replace("name: w1", "name: w1\n    labels: &l {a: b}") + (
        "  - {name: w2, mac: 52:54:00:00:00:03, address: 10.77.0.13, labels: *l}\n"
    )
    file.write_text(text)
    with pytest.raises(SpecError, match=r"\*l stands for nothing above"):
        change(file, lambda text, lab: Edit(edit.remove(text, 1), (lab.machines[0], lab.machines[2])))
    assert file.read_text() == text


def test_a_file_that_is_not_there_or_broken(file: Path) -> None:
    with pytest.raises(NodiskError, match="No such file"):
        change(file.parent / "none.yaml", add)
    file.write_text("name: [")
    with pytest.raises(SpecError, match="not YAML"):
        change(file, add)
