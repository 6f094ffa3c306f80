"""The folder whose files a document may embed, and nothing outside of it.

A path is first judged by its words, as Butane does (``..`` is refused, a leading slash means the folder itself).
Then, beyond what Butane does, every symbolic link on the way must end inside the folder; the file is opened without
following links any more, must be a regular one, and is read up to a limit. Messages are those of Go's ``os``.
"""

from __future__ import annotations

import os
import posixpath
import stat
from pathlib import Path

NO_FOLDER = "local file paths are relative to a files directory that must be specified with -d/--files-dir"
ESCAPE = "local file path traverses outside the files directory"

MAX_FILE = 64 * 1024 * 1024
MAX_TOTAL = 256 * 1024 * 1024
"""Bytes, of one file and of all: what is embedded is held in RAM here and on the machine."""


class LocalError(Exception):
    """A local file can't be embedded; the text is the message."""


def words(error: OSError) -> str:
    """The system's words as Go has them: ``no such file or directory``."""
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]


class FilesDir:
    """The folder ``root``; None: nothing may be read."""

    def __init__(self, root: str | os.PathLike[str] | None) -> None:
        self.root = os.fspath(root) if root is not None else ""
        self._real = os.path.realpath(self.root) if self.root else ""
        self._read: dict[str, bytes] = {}
        self._total = 0

    def path(self, local: str) -> str:
        """``local`` joined to the folder's path, as words. Raises LocalError."""
        if not self.root:
            raise LocalError(NO_FOLDER)
        joined = posixpath.normpath(f"{self.root}/{local}") if local else posixpath.normpath(self.root)
        base = os.path.abspath(self.root)  # noqa: PTH100 - words only: links are judged apart
        found = os.path.abspath(joined)  # noqa: PTH100
        if found != base and not found.startswith(base.rstrip("/") + "/"):
            raise LocalError(ESCAPE)
        if "\0" in joined:
            raise LocalError(f"open {joined}: invalid argument")
        return joined

    def check_inside(self, path: str) -> str:
        """The real path of ``path``. Raises LocalError if links lead out of the folder."""
        real = os.path.realpath(path)
        if real != self._real and not real.startswith(self._real.rstrip("/") + "/"):
            raise LocalError(ESCAPE)
        return real

    def read(self, local: str) -> bytes:
        """The content of a file. Raises LocalError."""
        return self.read_path(self.path(local))

    def read_path(self, path: str) -> bytes:
        """The content of the file at ``path``, which ``path()`` or a walk gave. Raises LocalError."""
        if path in self._read:
            return self._read[path]
        real = self.check_inside(path)
        try:
            data = self._read_real(path, real)
        except OSError as error:
            raise LocalError(f"open {path}: {words(error)}") from error
        self._total += len(data)
        if self._total > MAX_TOTAL:
            raise LocalError(f"read {path}: embedded files are larger than {MAX_TOTAL // 1024 // 1024} MiB in all")
        self._read[path] = data
        return data

    def _read_real(self, path: str, real: str) -> bytes:
        """Open step by step from the folder down, following no link: what was checked is what is read."""
        handle = os.open(self._real, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in [part for part in real[len(self._real) :].split("/") if part]:
                below = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=handle)
                os.close(handle)
                handle = below
            mode = os.fstat(handle).st_mode
            if stat.S_ISDIR(mode):
                raise LocalError(f"read {path}: is a directory")
            if not stat.S_ISREG(mode):
                raise LocalError(f"open {path}: not a regular file")
            with os.fdopen(os.dup(handle), "rb") as file:
                data = file.read(MAX_FILE + 1)
        finally:
            os.close(handle)
        if len(data) > MAX_FILE:
            raise LocalError(f"read {path}: larger than {MAX_FILE // 1024 // 1024} MiB")
        return data

    def is_folder(self, path: str) -> bool:
        """Whether ``path`` is a folder inside this one, links followed. Raises LocalError."""
        real = self.check_inside(path)
        try:
            return stat.S_ISDIR(os.stat(real).st_mode)  # noqa: PTH116 - Path would hide the message
        except OSError as error:
            raise LocalError(f"stat {path}: {words(error)}") from error


def relative(path: str, base: str) -> str:
    """``path`` below ``base``, with slashes; "." for itself."""
    return Path(path).relative_to(base).as_posix() if path != base else "."
