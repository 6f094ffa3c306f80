"""Which URLs Ignition can fetch, by spec version."""

from __future__ import annotations

import binascii
import re

from nodisk.butane import gourl
from nodisk.butane.pattern import Pattern
from nodisk.butane.report import Findings, Path

_CHAR = r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]"
_DATA = Pattern(
    r"data:"
    rf"(?:(?P<type>{_CHAR}+)/{_CHAR}*)?"
    rf"(?P<params>(?:;{_CHAR}+=(?:{_CHAR}+|\"(?:[^\"\\\x80-\U0010ffff]|\\[\x00-\x7f])*\"))*)"
    r"(?P<base64>;base64)?,(?P<data>.*)",
    re.DOTALL,
)
_TYPES = ("text", "image", "audio", "video", "application", "message", "multipart")
_DATA_CHARS = Pattern(r"[!$-;=?-Z_a-z~]*")


def check_required(source: str | None, spec: int, path: Path, found: Findings) -> None:
    """A URL that must be given."""
    if not source:
        found.error(path, "source is required")
    else:
        check_url(source, spec, path, found)


def check_url(source: str | None, spec: int, path: Path, found: Findings, *, empty_ok: bool = True) -> None:
    """A URL that Ignition 3.``spec`` must be able to fetch."""
    if source is None or (not source and empty_ok):
        return
    problem = _problem(source, spec)
    if problem:
        found.error(path, problem)


def fetchable(source: str | None, spec: int) -> bool:
    """Whether ``source`` is absent, empty or a URL that can be fetched."""
    return not source or _problem(source, spec) is None


def _problem(source: str, spec: int) -> str | None:
    try:
        url = gourl.parse(source)
    except gourl.BadUrl:
        return "unable to parse url"
    if url.scheme in ("http", "https", "tftp") or (url.scheme == "gs" and spec >= 2):
        return None
    if url.scheme == "data":
        return data_problem(source)
    if url.scheme == "arn" and spec >= 4:
        problem = _arn_problem("arn:" + url.opaque)
        if problem:
            return problem
    elif url.scheme != "s3":
        return "invalid url scheme"
    versions = gourl.query_values(url.query, "versionId")
    return "invalid S3 object VersionId" if versions and not versions[0] else None


def _arn_problem(arn: str) -> str | None:
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[2] != "s3":
        return "invalid S3 ARN format"
    pieces = arn.split("/")
    needed = 3 if parts[5].startswith("accesspoint/") else 2
    return "invalid S3 ARN format" if len(pieces) < needed else None


def data_problem(source: str) -> str | None:  # noqa: PLR0911 - a return a problem
    """What is wrong with a ``data:`` URL; None if nothing is."""
    data, base64 = source[len("data:,") :], False
    if source.startswith("data:;base64,"):
        data, base64 = source[len("data:;base64,") :], True
    elif not source.startswith("data:,"):
        match = _DATA.fullmatch(source)
        if match is None:
            return _why_no_data(source)
        kind = match["type"]
        if kind is not None and not kind.startswith(_TYPES) and not kind.lower().startswith("x-"):
            return "invalid media type"
        data, base64 = match["data"], match["base64"] is not None
    if base64:
        if re.search(r"[^A-Za-z0-9+/=\n]", data):
            return "invalid data character"
        return _base64_problem(data)
    if not _DATA_CHARS.fullmatch(data):
        return "invalid data character"
    bad = re.search(r"%(?![0-9A-Fa-f]{2})", data)
    if bad is None:
        return None
    rest = data[bad.start() + 1 :]
    if not rest or (len(rest) == 1 and re.match("[0-9A-Fa-f]", rest)):
        return "rfc2396: unexpected end of unescape sequence"
    return "rfc2396: invalid char 0x25 in unescape sequence"


def _base64_problem(data: str) -> str | None:
    text = data.replace("\n", "")
    try:
        binascii.a2b_base64(text.encode(), strict_mode=True)
    except binascii.Error:
        good = re.match(r"(?:[A-Za-z0-9+/]{4})*", text)
        return f"illegal base64 data at input byte {_base64_offset(data, text, good.end() if good else 0)}"
    return None


def _base64_offset(data: str, text: str, whole: int) -> int:
    """Where Go's decoder stops: after the last whole group, at the first character that does not fit."""
    group = text[whole : whole + 4]
    if "=" in text[:whole]:
        return text.index("=")
    if len(group) < 4:
        return len(data) - (len(text) - whole) if "=" not in group else len(data)
    if re.fullmatch(r"[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=", group):
        return whole + 4  # something follows the padding
    place = group.index("=")
    return whole + (place if place < 2 else 3)


def _why_no_data(source: str) -> str:  # noqa: PLR0911 - a return a problem
    """The words of Ignition's parser of data URLs for one that has no form."""
    rest = source[len("data:") :] if source.startswith("data:") else None
    if rest is None:
        return "missing data prefix"
    if "," not in rest:
        if ";" in rest and "=" not in rest.rpartition(";")[2]:
            return "unterminated parameter sequence"
        if not rest or ";" in rest:
            return "missing comma before data"
        return "incomplete media type" if "/" in rest else "missing media type slash"
    head = rest.partition(",")[0]
    kind, semicolon, params = head.partition(";")
    if "/" not in kind and kind:
        return (
            "invalid character for media type"
            if re.fullmatch(rf"{_CHAR}+", kind[:1])
            else ("invalid character after data prefix")
        )
    if not re.fullmatch(rf"(?:{_CHAR}+/{_CHAR}*)?", kind):
        return "invalid character for media subtype"
    *before, last = params.split(";")
    if any("=" not in param for param in before):
        return "invalid character for parameter attribute"
    if semicolon and not last:
        return "unterminated parameter sequence"
    if semicolon and "=" not in last:
        return f"expected base64, got {last}"
    return "invalid character for parameter value"
