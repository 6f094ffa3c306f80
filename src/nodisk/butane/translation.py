"""Butane text → Ignition: the steps in their order, each of which may end the matter.

parse → which variant and version → types → unknown keys → Butane's rules → desugar → Ignition's rules.
"""

from __future__ import annotations

import functools
import json
import os
import re

from nodisk.butane import gojson, rules, semver, source_rules, unused
from nodisk.butane.compiled import butane, ignition_schema
from nodisk.butane.context import Context
from nodisk.butane.decode import Decoder, Values
from nodisk.butane.desugar import translate as desugar
from nodisk.butane.fields import VERSIONS
from nodisk.butane.goscanner import YamlError
from nodisk.butane.localfiles import FilesDir
from nodisk.butane.paths import Path
from nodisk.butane.report import Entry, Findings, Problem, Report, locate
from nodisk.butane.schema import CStruct, Field, Struct, compile_, emit
from nodisk.butane.source_rules import Version
from nodisk.butane.yamltree import Node, parse

_HEADER = Struct(
    "Header", (Field("version", "string", "", required=True), Field("variant", "string", "", required=True))
)

RHCOS = "rhcos variant has been removed; use openshift variant instead: https://coreos.github.io/butane/upgrading-openshift/"
STRICT = "Config produced warnings and --strict was specified"
INVALID_SOURCE = "source config is invalid"
INVALID_RESULT = "config generated was invalid"


class Result:
    """What became of a document: an Ignition config, or None, and the report."""

    __slots__ = ("_raw", "report")

    def __init__(self, raw: dict[str, object] | None, report: Report) -> None:
        self._raw = raw
        self.report = report

    @property
    def ignition(self) -> dict[str, object] | None:
        """The config, keys in Ignition's order; None if the translation failed."""
        if self._raw is None:
            return None

        config: dict[str, object] = json.loads(self.json())
        return config

    def json(self, *, pretty: bool = False) -> str:
        """The config as Butane writes it, without a final newline; "" if the translation failed."""
        return "" if self._raw is None else gojson.encode(self._raw, pretty=pretty)


class _Failed(Exception):
    """The translation ends here, with these words and what was found so far."""

    def __init__(self, failure: str, entries: list[Entry]) -> None:
        super().__init__(failure)
        self.failure = failure
        self.entries = entries


def translate(text: str | bytes, *, files_dir: str | os.PathLike[str] | None = None, strict: bool = False) -> Result:
    """Translate a Butane document (fcos 1.0.0 to 1.7.0, flatcar 1.0.0 and 1.1.0).

    ``files_dir``: the folder that ``local`` files may come from; nothing else is read. ``strict``: warnings make the
    translation fail. Nothing is raised for any ``text``: see the report.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        config, entries = _translate(data, FilesDir(files_dir))
    except _Failed as failed:
        return Result(None, Report(failed.entries, failed.failure))
    if strict and entries:
        return Result(None, Report(entries, STRICT))
    return Result(config, Report(entries))


def _translate(data: bytes, files: FilesDir) -> tuple[dict[str, object], list[Entry]]:
    root, version = _open(data)
    struct = butane(version.spec, version.fcos)
    values = _decode(root, struct, "")
    found = Findings()
    unused.check(root, struct, values, found)
    warnings = found.problems

    found = Findings()
    source_rules.check(struct, values, version, found)
    if found.fatal:
        raise _Failed(INVALID_SOURCE, locate([*warnings, *found.problems], root))

    context = Context(version, files, found, trace=False)
    config = desugar(struct, values, context)
    result = Findings()
    if not found.fatal:
        _filter(config, version, found)
    if not found.fatal:
        schema = ignition_schema(version.spec)
        rules.check_duplicates(schema, config, result)
        rules.check(schema, config, version.spec, result)
    problems = [*warnings, *found.problems]
    placed = [*context.generated.problems, *result.problems]
    if placed:
        problems += _place(placed, struct, values, version, files)
    entries = locate(problems, root)
    if found.fatal:
        raise _Failed(INVALID_SOURCE, entries)
    if result.fatal:
        raise _Failed(INVALID_RESULT, entries)
    return emit(ignition_schema(version.spec), config), entries


def _open(data: bytes) -> tuple[Node, Version]:
    """The document and which one it is. Raises _Failed."""
    try:
        root = parse(data)
    except YamlError as error:
        raise _yaml_failure("Error unmarshaling yaml: ", error) from error
    header = _decode(root, _header(), "Error unmarshaling yaml: ") if root is not None else {}
    variant, text = str(header.get("variant", "")), str(header.get("version", ""))
    if root is None or not variant:
        raise _fail("error parsing variant; must be specified")
    try:
        number = semver.parse(text)
    except semver.BadVersion as error:
        raise _fail("error parsing version; must be a valid semver") from error
    version = str(number)
    if (variant, version) == ("rhcos", "0.1.0"):
        raise _fail(RHCOS)
    spec = VERSIONS.get(variant, {}).get(version)
    if spec is None:
        raise _fail(f"No translator exists for variant {variant} with version {version}")
    return root, Version(variant, version, spec, number.minor if variant == "fcos" else None)


@functools.cache
def _header() -> CStruct:
    """The part of every document that says which one it is."""
    return compile_(_HEADER, 0, None)


def _fail(message: str) -> _Failed:
    return _Failed(message, [Entry("error", message)])


def _yaml_failure(prefix: str, error: YamlError) -> _Failed:
    return _Failed(prefix + str(error), [Entry("error", error.message, line=error.line)])


def _decode(root: Node, struct: CStruct, prefix: str) -> Values:
    decoder = Decoder()
    try:
        values = decoder.document(root, struct)
    except YamlError as error:
        raise _yaml_failure(prefix, error) from error
    if decoder.errors:
        lines = "".join(f"\n  line {entry.line}: {entry.message}" for entry in decoder.errors)
        raise _Failed(f"{prefix}yaml: unmarshal errors:{lines}", decoder.errors)
    return values


def _filter(config: Values, version: Version, found: Findings) -> None:
    """What a variant does not support although its Ignition version does."""
    if version.variant != "flatcar":
        return
    storage = config.get("storage")
    for index, volume in enumerate(storage.get("luks") or () if isinstance(storage, dict) else ()):
        if _any_set(volume.get("clevis")):
            found.error(("storage", "luks", index, "clevis"), "clevis is not supported in this spec version")


def _any_set(value: object) -> bool:
    """Whether anything in a mapping is given."""
    if isinstance(value, dict):
        return any(_any_set(item) for item in value.values())
    return bool(value) if isinstance(value, list) else value is not None


def _place(
    problems: list[Problem], struct: CStruct, values: Values, version: Version, files: FilesDir
) -> list[Problem]:
    """Messages about the Ignition config at the places of the document that they come from.

    Only now is it worth knowing where everything came from, so the document is translated once more.
    """
    context = Context(version, files, Findings(), trace=True)
    desugar(struct, values, context)
    sources = context.sources or {}
    return [Problem(severity, sources.get(path) or _snake(path), message) for severity, path, message in problems]


def _snake(path: Path) -> Path:
    """Ignition's path in Butane's spelling, for what is not in the config: most sections have the same shape."""
    return tuple(re.sub(r"(MiB|[A-Z])", r"_\1", part).lower() if isinstance(part, str) else part for part in path)
