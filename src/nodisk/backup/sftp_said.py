"""What ssh and sftp say through restic where another host doesn't take a backup, in plain words. Pure.

restic prefixes ssh's lines with ``subprocess ssh:`` and ends with what it noticed itself, mostly "EOF". ssh's wording
is that of OpenSSH (sshconnect.c, sshconnect2.c, clientloop.c), which it doesn't translate.
"""

from __future__ import annotations

import re

from nodisk.errors import EnvironmentProblem

_LOGIN = re.compile(r"ssh://(?:(?P<user>[^@/]+)@)?(?P<host>[^/:]+)(?::(?P<port>[0-9]+))?/")
_SAID = (
    (
        r"^subprocess ssh:.*HOST IDENTIFICATION HAS CHANGED",
        "{host} shows another key than the one in known_hosts: it was reinstalled, or another host answers for it",
        "ask who runs it; only if its key is meant to be new: ssh-keygen -R '{known}', then log in once by ssh",
    ),
    (
        r"^subprocess ssh: Host key verification failed",
        "the key of {host} is not in known_hosts, and nobody is there to say that it is the right one",
        "log in once by ssh, as the user that nodisk runs as, and compare the fingerprint that it shows",
    ),
    (
        r"^subprocess ssh:.*(?:Permission denied \(|Too many authentication failures)",
        "{host} doesn't let {user} in with a key of this host",
        "put the public key of the user that nodisk runs as into the account's authorized_keys there",
    ),
    (
        r"^subprocess ssh:.*subsystem request failed",
        "{host} has no sftp for this account",
        "sshd_config there needs: Subsystem sftp internal-sftp",
    ),
    (
        # All that the protocol has for a full disk or an exhausted quota.
        r'\bsftp: "Failure"',
        "{place} can't be written: sftp says only Failure, as it does where the disk or a quota there is full",
        "free some space there (nodisk backup prune --keep …) and run the command again; earlier backups are whole",
    ),
    (
        r"^Fatal: create repository at .* failed: (?P<why>.*\S)",
        "{place} can't be made: {why}",
        "may the account write there, and is the path the whole one?",
    ),
    (
        r"^subprocess ssh: *(?:ssh: *)?(?P<why>.*\S)",
        "{place} can't be reached or used: {why}",
        "try it as the user that nodisk runs as: sftp {login}",
    ),
)
"""What is looked for in all that was printed, the message, and the hint; the first that is found counts."""


def problem(place: str, said: str) -> EnvironmentProblem | None:
    """The error to raise where restic failed on a repository in ``place``; None where ssh and sftp aren't to blame."""
    login = _LOGIN.match(place)
    if login is None:
        return None
    host, port = login["host"], login["port"] or "22"
    words = {
        "place": place,
        "host": host,
        "user": login["user"] or "this user",
        "known": host if port == "22" else f"[{host}]:{port}",  # as known_hosts writes it, sshd(8)
        "login": f"-P {port} {login['user']}@{host}" if login["user"] else f"-P {port} {host}",
    }
    for pattern, message, hint in _SAID:
        if found := re.search(pattern, said, re.MULTILINE):
            told = words | {name: value[:300] for name, value in found.groupdict().items()}
            return EnvironmentProblem(message.format(**told), hint=hint.format(**told))
    return None
