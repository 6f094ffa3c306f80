"""Opening a page in the browser of whoever sits at this computer, if anybody does."""

from __future__ import annotations

import contextlib
import html
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from nodisk import files

OPENER = "xdg-open"
"""What opens a page in the browser that a graphical session prefers; it asks ``$BROWSER`` too."""


def sits_here(environment: Mapping[str, str], *, root: bool) -> bool:
    """Whether it is asked from a graphical session of this very user.

    Root over SSH has none of its own, whatever display it names, and by sudo it is another's: browsers refuse to run as
    root there, and the user's own can't read the page.
    """
    display = environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    others = ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY", "SUDO_UID")
    return bool(display) and not (root and any(environment.get(name) for name in others))


def link(address: str, page: Path) -> bool:
    """Open a link that is a secret; returns whether it was tried. Never raises: the link was printed, too.

    ``page``: a file of this user's alone that leads there, for everybody on the computer sees a browser's arguments.
    A pipe that reads the link opens nothing, and the browser keeps none of this process' files open.
    """
    if not sys.stdout.isatty() or not sits_here(os.environ, root=os.geteuid() == 0):
        return False
    none = subprocess.DEVNULL
    with contextlib.suppress(OSError):  # no such program, a full disk
        files.write(page, _page(address), mode=0o600)
        subprocess.Popen([OPENER, page.as_uri()], stdin=none, stdout=none, stderr=none, start_new_session=True)
        return True
    return False


def _page(address: str) -> str:
    shown = html.escape(address, quote=True)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
        f'<meta http-equiv="refresh" content="0; url={shown}"><title>nodisk</title></head>'
        f'<body><a href="{shown}">Sign in</a></body></html>\n'
    )
