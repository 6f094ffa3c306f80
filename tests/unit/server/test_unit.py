"""The systemd unit: read by systemd's own programs, put in place and taken away below a root of the test's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodisk import errors
from nodisk.server import unit

LAB, STATE = Path("/etc/nodisk/lab.yaml"), Path("/var/lib/nodisk")
PATHS = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0/"), min_size=1, max_size=40)


def verify(path: Path) -> subprocess.CompletedProcess[str]:
    argv = ["systemd-analyze", "verify", "--man=no", str(path)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_systemd_reads_it(tmp_path: Path) -> None:
    path = tmp_path / unit.NAME
    path.write_text(unit.render([sys.executable, "-m", "nodisk"], LAB, STATE))
    done = verify(path)
    assert (done.returncode, unit.NAME in done.stderr) == (0, False), done.stderr


def unquoted(line: str) -> list[str]:
    """What systemd makes of a command line in which every word is quoted: systemd.syntax(7)."""
    words, rest = [], line
    while rest:
        assert rest[0] == '"'
        word, place = "", 1
        while rest[place] != '"':
            place += rest[place] == "\\"
            word += rest[place]
            place += 1
        words.append(word.replace("%%", "%").replace("$$", "$"))
        rest = rest[place + 1 :].lstrip(" ")
    return words


@settings(max_examples=200)
@given(PATHS)
def test_any_path_comes_out_as_it_went_in(name: str) -> None:
    lab = Path("/srv") / name
    text = unit.render(["/opt/nodisk/bin/python", "-m", "nodisk"], lab, STATE)
    (line,) = [line for line in text.split("\n") if line.startswith("ExecStart=")]
    words = unquoted(line.removeprefix("ExecStart="))
    assert words[3:] == ["serve", "--lab", str(lab), "--state", "/var/lib/nodisk"]


@pytest.mark.parametrize("name", ["a lab", "50%", "$HOME", "semi;colon", "zażółć"])
def test_systemd_itself_reads_odd_paths(name: str, tmp_path: Path) -> None:
    """It complains of a program that isn't there by the name that it read: the lab's path stands for the program."""
    path = tmp_path / unit.NAME
    program = f"/nonexistent/{name}"
    path.write_text(unit.render([program], LAB, STATE))
    assert f"Command {program} is not executable" in verify(path).stderr


def test_a_line_break_is_refused() -> None:
    with pytest.raises(ValueError, match="x"):
        unit.quote("x\ny")


def test_installed_enabled_and_removed_below_a_root(tmp_path: Path) -> None:
    service, text = unit.Service(tmp_path), unit.render(["/bin/true"], LAB, STATE)
    assert service.install(text, start=False)
    assert not service.install(text, start=False)  # a second time changes nothing
    assert service.path.read_text() == text
    wanted = tmp_path / "etc/systemd/system/multi-user.target.wants" / unit.NAME
    assert wanted.is_symlink()
    assert service.remove()
    assert not service.path.exists()
    assert not wanted.is_symlink()
    assert not service.remove()


def test_without_systemd_nothing_is_written(tmp_path: Path) -> None:
    service = unit.Service(tmp_path)
    with pytest.raises(errors.EnvironmentProblem, match="init system is not systemd"):
        service.install("", start=True)
    assert list(tmp_path.iterdir()) == []
