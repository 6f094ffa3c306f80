"""Opening a page in the browser of whoever sits at this computer, if anybody does."""

from __future__ import annotations

import contextlib
import html
import os
import threading
import webbrowser
from collections.abc import Mapping
from pathlib import Path

from nodisk import files

PATIENCE = 5.0
"""Seconds for the browser to take the page over. Some only come back when they are closed."""


def sits_here(environment: Mapping[str, str], *, root: bool) -> bool:
    """Whether a graphical session is asked from. Root over SSH has none of its own, whatever display it names."""
    display = environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    far = root and any(environment.get(name) for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"))
    return bool(display) and not far


def link(address: str, page: Path) -> bool:
    """Open a link that is a secret; returns whether it was tried. Never raises: the link was printed, too.

    ``page``: a file of this user's alone that leads there, for everybody on the computer sees a browser's arguments.
    """
    if not sits_here(os.environ, root=os.geteuid() == 0):
        return False
    try:
        files.write(page, _page(address), mode=0o600)
    except OSError:
        return False
    opening = threading.Thread(target=_open, args=(page.as_uri(),), daemon=True)
    opening.start()
    opening.join(PATIENCE)
    return True


def _open(address: str) -> None:
    with contextlib.suppress(Exception):  # whatever a browser does
        webbrowser.open(address)


def _page(address: str) -> str:
    shown = html.escape(address, quote=True)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
        f'<meta http-equiv="refresh" content="0; url={shown}"><title>nodisk</title></head>'
        f'<body><a href="{shown}">Sign in</a></body></html>\n'
    )
