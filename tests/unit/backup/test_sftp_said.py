"""ssh's and sftp's words, as they come through restic, in plain ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.backup.sftp_said import problem

PLACE = "ssh://backup@nas:2222/srv/room"
EOF = "Fatal: unable to open repository at sftp://…: unable to start the sftp session, error: EOF"


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @", "nas shows another key", "-R '[nas]:2222'"),
        ("Host key verification failed.", "the key of nas is not in known_hosts", "fingerprint"),
        ("backup@nas: Permission denied (publickey).", "nas doesn't let backup in", "authorized_keys"),
        ("subsystem request failed on channel 0", "nas has no sftp", "Subsystem"),
        ("ssh: connect to host nas port 2222: Connection refused", "used: connect to host nas port", "-P 2222 backup@"),
    ],
)
def test_ssh_lines(line: str, message: str, hint: str) -> None:
    found = problem(PLACE, f"subprocess ssh: {line}\n{EOF}")
    assert found is not None
    assert message in found.message
    assert found.hint is not None
    assert hint in found.hint


def test_a_changed_key_is_told_before_what_follows_from_it() -> None:
    said = "subprocess ssh: @ REMOTE HOST IDENTIFICATION HAS CHANGED! @\nsubprocess ssh: Host key verification failed."
    found = problem("ssh://nas/srv/room", said)
    assert found is not None
    assert "another key" in found.message
    assert found.hint is not None
    assert "-R 'nas'" in found.hint


def test_what_sftp_says() -> None:
    full = problem(PLACE, 'Fatal: unable to save snapshot: Write: sftp: "Failure" (SSH_FX_FAILURE)')
    assert full is not None
    assert "full" in full.message
    absent = problem(PLACE, "Fatal: create repository at sftp://x failed: permission denied\n")
    assert absent is not None
    assert absent.message == f"{PLACE} can't be made: permission denied"


def test_folders_and_buckets_are_not_concerned() -> None:
    said = "subprocess ssh: Host key verification failed."
    assert problem("/srv/backups", said) is None
    assert problem("s3://minio/room", said) is None
    assert problem(PLACE, EOF) is None


@given(st.text())
def test_any_words_of_the_other_host(said: str) -> None:
    found = problem(PLACE, f"subprocess ssh: x{said}")
    assert found is not None
    assert "\n" not in found.message
