"""Files from the network: resumed where they stopped, retried, and used only if their published hash matches.

``remedy`` is always what a person can do if the server doesn't have the file or can't be reached.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2

from nodisk.assets import faults, trust
from nodisk.assets.faults import Fault, Kind, shown
from nodisk.errors import EnvironmentProblem, IntegrityError, NodiskError

Progress = Callable[[int, int | None], None]
"""Called with the bytes downloaded and the total (None: unknown)."""

_TRIES = 5
"""Number of tries in a row without progress: a connection that breaks every minute still completes a large file."""
_BUSY_TRIES = 3
"""For a small text from a server that is up but can't answer now."""
_NOBODY_TRIES = 2
"""For a server that can't be reached at all, before any data has arrived."""
_PROGRESS = 64 * 1024
"""Bytes; fewer in one try count as no progress."""
_TIMEOUT = httpx2.Timeout(20, connect=5)


@dataclass(frozen=True, slots=True)
class Published:
    """A hash that the publisher names beside a file."""

    algorithm: str
    """sha256 or sha512."""
    hex: str

    @classmethod
    def parse(cls, algorithm: str, text: str, *, name: str | None = None) -> Published:
        """Parse a file of hashes: ``HEX``, or lines ``HEX  NAME``, of which the one for ``name`` is used.

        Raises IntegrityError if there is no hash of that length.
        """
        length = hashlib.new(algorithm).digest_size * 2
        for line in text.splitlines():
            words = line.split()
            if not words or len(words[0]) != length or set(words[0].lower()) - set("0123456789abcdef"):
                continue
            if name is None or len(words) == 1 or words[-1].removeprefix("*").rpartition("/")[2] == name:
                return cls(algorithm, words[0].lower())
        raise IntegrityError(f"the publisher's list has no {algorithm} for {name or 'the file'}")

    def matches(self, path: Path) -> bool:
        """Whether the file has this hash."""
        with path.open("rb") as file:
            return hashlib.file_digest(file, self.algorithm).hexdigest() == self.hex


class Unreachable(EnvironmentProblem):
    """A server could not be reached at all, or broke every connection."""


class NotThere(NodiskError):
    """The server answers, but doesn't have the file."""


class Portal(IntegrityError):
    """Something else answered in the server's place: a web page arrived instead of a file."""


class _Failed(Exception):
    """One failed try."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault


def client() -> httpx2.AsyncClient:
    """A client with timeouts for slow connections; follows redirects, which publishers use."""
    try:
        return httpx2.AsyncClient(follow_redirects=True, timeout=_TIMEOUT, verify=trust.context())
    except (ValueError, httpx2.InvalidURL, ImportError) as error:
        raise EnvironmentProblem(
            f"can't use the proxy set in the environment: {error}", hint="correct or unset http(s)_proxy"
        ) from error


async def text(
    http: httpx2.AsyncClient, url: str, *, timeout: float | None = None, tries: int = 2, remedy: str | None = None
) -> str:
    """Fetch a small text. ``tries``: how often to ask a server that doesn't answer; a busy one gets more time.

    Raises Unreachable, NotThere, Portal, or NodiskError with the server's answer.
    """
    pause = 1.0
    for attempt in itertools.count(1):
        try:
            response = await _get(http, url, timeout)
        except _Failed as failed:
            fault = failed.fault
        else:
            return response.text
        if not fault.again or attempt >= (_BUSY_TRIES if fault.kind is Kind.BUSY else tries):
            break
        await asyncio.sleep(pause if fault.wait is None else fault.wait)
        pause *= 2
    raise _error(url, fault, fault.hint or remedy, "can't be reached")


async def _get(http: httpx2.AsyncClient, url: str, timeout: float | None) -> httpx2.Response:
    try:
        response = await http.get(url, timeout=_TIMEOUT if timeout is None else timeout)
    except httpx2.InvalidURL as error:
        raise _no_address(url, error) from error
    except httpx2.RequestError as error:  # also a circle of redirects, and a body that can't be decoded
        raise _Failed(await asyncio.to_thread(faults.of_error, url, error)) from error
    if (fault := faults.of_answer(url, response)) is not None:
        raise _Failed(fault)
    return response


async def file(
    http: httpx2.AsyncClient,
    url: str,
    target: Path,
    published: Published,
    progress: Progress | None = None,
    *,
    pause: float = 1,
    remedy: str | None = None,
) -> None:
    """Download ``url`` to ``target``, which appears only with the right hash.

    What was downloaded before an error or Ctrl-C is kept as ``target``.part and resumed. ``pause`` is the first wait
    between two tries, in seconds; it doubles. Raises Unreachable after the last try, NotThere, Portal, and
    IntegrityError if what was loaded from the first byte to the last in one go has another hash.
    """
    if target.exists() and await asyncio.to_thread(published.matches, target):
        return
    part = target.with_name(target.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    wait, vain, came = pause, 0, False
    while True:
        had = _size(part)
        try:
            await _load(http, url, part, progress)
        except _Failed as failed:
            fault = failed.fault
        else:
            if await asyncio.to_thread(published.matches, part):
                part.replace(target)
                return
            page = _is_page(part)
            part.unlink()
            reason = f"the downloaded file's {published.algorithm} differs from the published one ({published.hex})"
            hint = (
                faults.PORTAL if page else "a proxy or mirror may have changed it, or it is being published right now"
            )
            if not had:
                raise IntegrityError(f"{shown(url)}: {reason}", hint=hint)
            fault = Fault(Kind.LINE, reason, hint)
        new = _size(part) - had
        came = came or new > 0
        if new >= _PROGRESS:
            wait, vain = pause, 0
        vain += 1
        if not fault.again or vain >= (_NOBODY_TRIES if fault.nobody and not came else _TRIES):
            break
        await asyncio.sleep(wait if fault.wait is None else fault.wait)
        wait *= 2
    advice = fault.hint or remedy
    if _size(part):
        advice = "run the command again; it continues where it stopped" + (f"; {advice}" if advice else "")
    raise _error(url, fault, advice, "can't be loaded")


def _error(url: str, fault: Fault, hint: str | None, unreachable: str) -> NodiskError:
    match fault.kind:
        case Kind.MISSING:
            return NotThere(f"{shown(url)} not found: {fault.reason}", hint=hint)
        case Kind.REFUSED:
            return NodiskError(f"{shown(url)} answers {fault.reason}", hint=hint)
        case Kind.PORTAL:
            return Portal(f"{shown(url)}: {fault.reason}", hint=hint)
        case Kind.LINE | Kind.BUSY:
            return Unreachable(f"{shown(url)} {unreachable}: {fault.reason}", hint=hint)


def _no_address(url: str, error: httpx2.InvalidURL) -> NodiskError:
    return NodiskError(
        f"{url!r} is not a valid file URL: {error}",
        hint="correct the $NODISK_UPSTREAM_… variable that names the server",
    )


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _is_page(part: Path) -> bool:
    with part.open("rb") as file:
        return file.read(512).lstrip().lower().startswith((b"<!doctype html", b"<html"))


async def _load(http: httpx2.AsyncClient, url: str, part: Path, progress: Progress | None) -> None:
    """Append the missing rest to ``part``; raises _Failed after writing everything that arrived."""
    have = _size(part)
    headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"} if have else {"Accept-Encoding": "identity"}
    try:
        async with http.stream("GET", url, headers=headers) as response:
            if response.status_code == 416:  # nothing is missing, or the file is another one now: its hash will tell
                return
            if (fault := faults.of_answer(url, response)) is not None:
                raise _Failed(fault)
            start = have if response.status_code == 206 else 0
            length = response.headers.get("Content-Length", "")
            total = start + int(length) if length.isdecimal() else None
            with part.open("ab" if start else "wb") as sink:
                async for chunk in response.aiter_raw():
                    sink.write(chunk)
                    start += len(chunk)
                    if progress is not None:
                        progress(start, total)
    except httpx2.InvalidURL as error:
        raise _no_address(url, error) from error
    except httpx2.RequestError as error:
        raise _Failed(await asyncio.to_thread(faults.of_error, url, error)) from error
    if total is not None and start < total:
        raise _Failed(Fault(Kind.LINE, f"the server broke off at {start} of {total} bytes"))
