"""Where backups are kept: every form, and nothing that ssh or restic would read as an option or another place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.spec.labs import TEN_LINES

from nodisk.errors import SpecError, UsageError
from nodisk.spec import target
from nodisk.spec.load import parse


def test_a_folder(tmp_path: Path) -> None:
    assert target.parse("/srv/backups").folder == Path("/srv/backups")
    assert target.parse("backups", base=tmp_path).repository == str(tmp_path / "backups")


def test_ssh() -> None:
    found = target.parse("ssh://backup@nas.example.org:2222/srv/room")
    assert found.repository == "sftp://backup@nas.example.org:2222//srv/room"
    ssh = "ssh -o BatchMode=yes -o ServerAliveInterval=60 -p 2222 backup@nas.example.org -s sftp"
    assert found.options == ("-o", f"sftp.command={ssh}")
    assert target.parse("ssh://nas/srv").repository == "sftp://nas:22//srv"
    assert found.folder is None


def test_s3() -> None:
    assert target.parse("s3://s3.example.org/room-backups/a").repository == "s3:https://s3.example.org/room-backups/a"
    assert target.parse("s3://10.0.0.5:9000/backups").repository == "s3:https://10.0.0.5:9000/backups"


@pytest.mark.parametrize(
    "text",
    ["", " ", "~/backups", "ssh://-oProxyCommand=x/srv", "ssh://nas", "ssh://a b/srv", "ssh://nas:0/srv", "ssh://nas:99999/srv",
     "ssh://nas/a b", "s3://host", "s3://host/B", "ftp://x/y", "sftp:host:/x", "rest:http://x", "a\0b"],
)  # fmt: skip
def test_what_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="no place for backups"):
        target.parse(text)


@given(st.text(max_size=40), st.sampled_from(["", "ssh://", "s3://", "ssh://u@h/", "s3://h/bucket/"]))
def test_no_text_becomes_an_option(text: str, start: str) -> None:
    try:
        found = target.parse(start + text)
    except UsageError:
        return
    assert not found.repository.startswith("-")
    assert all(not word.startswith("-") for word in found.repository.split()) or found.folder is not None
    if found.options:
        words = found.options[1].removeprefix("sftp.command=").split()
        assert words[:3] == ["ssh", "-o", "BatchMode=yes"]
        assert words[-2:] == ["-s", "sftp"]
        assert not words[-3].startswith("-")


def test_lab_yaml_names_the_line() -> None:
    with pytest.raises(SpecError, match=r"lab.yaml:\d+:\d+.*no place for backups"):
        parse(TEN_LINES + "backup: {target: 'ftp://nas/srv'}\n", file=Path("lab.yaml"))


def test_a_password_file_is_beside_lab_yaml() -> None:
    text = TEN_LINES + "backup: {target: /srv/backups, password_file: secret}\n"
    section = parse(text, file=Path("/etc/room/lab.yaml")).backup
    assert section is not None
    assert section.password_file == Path("/etc/room/secret")
