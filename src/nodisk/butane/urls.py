"""Which URLs Ignition can fetch, by spec version."""

from __future__ import annotations

from nodisk.butane import dataurl, gourl
from nodisk.butane.paths import Path
from nodisk.butane.report import Findings


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
        return dataurl.problem(source)
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
