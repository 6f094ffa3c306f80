"""Files from the network: resumed where they stopped, tried again, used only with their published hash."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from nodisk.errors import EnvironmentProblem, IntegrityError, NodiskError

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here and the bytes that there are (None: unknown)."""

_TRIES = 5
_TIMEOUT = httpx.Timeout(30, connect=10)


@dataclass(frozen=True, slots=True)
class Published:
    """A hash that the publisher names beside a file."""

    algorithm: str
    """sha256 or sha512."""
    hex: str

    @classmethod
    def parse(cls, algorithm: str, text: str, *, name: str | None = None) -> Published:
        """From a file of hashes: ``HEX``, or lines of ``HEX  NAME`` of which the one for ``name`` counts.

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
    """A server could not be reached at all, or broke off every time."""


def client() -> httpx.AsyncClient:
    """A client with patience for slow lines; follows redirects, as publishers' addresses need it."""
    try:
        return httpx.AsyncClient(follow_redirects=True, timeout=_TIMEOUT)
    except (ValueError, httpx.InvalidURL, ImportError) as error:
        raise EnvironmentProblem(
            f"the proxy that the environment names can't be used: {error}", hint="correct or unset http(s)_proxy"
        ) from error


async def text(http: httpx.AsyncClient, url: str, *, timeout: float | None = None, tries: int = 3) -> str:
    """A small text. Raises Unreachable, or NodiskError with the server's status."""
    reason = ""
    for attempt in range(tries):
        try:
            response = await http.get(url, timeout=_TIMEOUT if timeout is None else timeout)
        except httpx.InvalidURL as error:
            raise _no_address(url, error) from error
        except httpx.RequestError as error:  # also a circle of redirects, and a body that can't be decoded
            reason = str(error) or type(error).__name__
        else:
            if response.is_success:
                return response.text
            if response.status_code < 500:
                raise NodiskError(f"{url} answers {response.status_code} {response.reason_phrase}")
            reason = f"{response.status_code} {response.reason_phrase}"
        if attempt + 1 < tries:
            await asyncio.sleep(2**attempt)
    raise Unreachable(f"{url} can't be reached: {reason}")


async def file(
    http: httpx.AsyncClient,
    url: str,
    target: Path,
    published: Published,
    progress: Progress | None = None,
    *,
    pause: float = 1,
) -> None:
    """Load ``url`` into ``target``, which appears only with the right hash.

    What was loaded before a break, or before a Ctrl-C, is kept as ``target``.part and continued. ``pause`` is the
    first wait between two tries, in seconds; it doubles. Raises Unreachable after the last try, IntegrityError if what
    was loaded from the first byte to the last in one go has another hash.
    """
    if target.exists() and await asyncio.to_thread(published.matches, target):
        return
    part = target.with_name(target.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    reason = ""
    for _ in range(_TRIES):
        resumed = part.exists() and part.stat().st_size > 0
        try:
            await _load(http, url, part, progress)
        except httpx.InvalidURL as error:
            raise _no_address(url, error) from error
        except httpx.RequestError as error:
            reason = str(error) or type(error).__name__
        else:
            if await asyncio.to_thread(published.matches, part):
                part.replace(target)
                return
            part.unlink()
            reason = f"what came has another {published.algorithm} than the publisher says ({published.hex})"
            if not resumed:
                raise IntegrityError(
                    f"{url}: {reason}", hint="a proxy or mirror on the way alters it, or it is just being published"
                )
        await asyncio.sleep(pause)
        pause *= 2
    raise Unreachable(f"{url} can't be loaded: {reason}", hint="run the command again: it continues where it stopped")


def _no_address(url: str, error: httpx.InvalidURL) -> NodiskError:
    return NodiskError(
        f"{url!r} is no address of a file: {error}",
        hint="correct the $NODISK_UPSTREAM_… variable that names the server",
    )


async def _load(http: httpx.AsyncClient, url: str, part: Path, progress: Progress | None) -> None:
    """Append to ``part`` what is missing of it; raises httpx.RequestError if the line breaks."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"} if have else {"Accept-Encoding": "identity"}
    async with http.stream("GET", url, headers=headers) as response:
        if response.status_code == 416:  # nothing is missing, or the file is another one now: its hash will tell
            return
        if response.status_code >= 500:
            raise httpx.ReadError(f"{response.status_code} {response.reason_phrase}")
        if not response.is_success:
            raise NodiskError(f"{url} answers {response.status_code} {response.reason_phrase}")
        start = have if response.status_code == 206 else 0
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdecimal() else None
        with part.open("ab" if start else "wb") as sink:
            async for chunk in response.aiter_raw():
                sink.write(chunk)
                start += len(chunk)
                if progress is not None:
                    progress(start, total)
    if total is not None and start < total:
        raise httpx.ReadError(f"the server broke off at {start} of {total} bytes")
