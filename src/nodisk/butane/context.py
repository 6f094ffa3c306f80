"""What translating a document needs besides the document itself, and what it finds out on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from nodisk.butane.compiled import ignition_schema
from nodisk.butane.localfiles import FilesDir, LocalError
from nodisk.butane.merging import Trace, merge_values
from nodisk.butane.paths import Path
from nodisk.butane.report import Findings
from nodisk.butane.schema import CStruct
from nodisk.butane.source_rules import Version

Values = dict[str, Any]
Sources = dict[Path, Path]
"""Path in the Ignition config → path in the Butane document."""


class Context:
    """What translating needs besides the document, and what it finds out.

    ``sources`` is None unless it is wanted: it is needed only to place messages, and costs more than the rest.
    """

    def __init__(self, version: Version, files: FilesDir, found: Findings, *, trace: bool) -> None:
        self.version = version
        self.files = files
        self.found = found
        """Errors at paths of the document."""
        self.generated = Findings()
        """Warnings at paths of the Ignition config."""
        self.sources: Sources | None = {} if trace else None

    def from_path(self, source: Path, result: Path) -> None:
        """Remember that ``result`` comes from ``source``."""
        if self.sources is not None:
            self.sources[result] = source

    def read(self, local: str, path: Path) -> bytes | None:
        """A local file; None, with an error at ``path``, if it can't be had."""
        try:
            return self.files.read(local)
        except LocalError as error:
            self.found.error(path, str(error))
            return None

    def merge_over(self, generated: Values, config: Values, sources: Sources) -> Values:
        """``config`` merged over what sugar ``generated`` (with its ``sources``); the user's fields win."""
        if self.sources is None and not generated:
            return config
        schema = ignition_schema(self.version.spec)
        if self.sources is None:
            return merge_values(schema, generated, config)
        trace: Trace = []
        merged = merge_values(schema, generated, config, trace)
        joined: Sources = {}
        for child, source, result in trace:
            place = (self.sources if child else sources).get(source)
            if place is not None and (child or result not in joined):
                joined[result] = place
        self.sources = joined
        return merged


def all_paths(struct: CStruct, value: Values) -> Iterator[Path]:
    """Every path that ``value`` has or could have without further list items."""
    for field in struct.fields:
        name = cast("str", field.json)
        yield (name,)
        if not isinstance(field.item, CStruct):
            if field.kind == "list":
                yield from ((name, index) for index in range(len(value.get(name) or ())))
        elif field.kind == "map":
            if not field.pointer or name in value:
                yield from ((name, *path) for path in all_paths(field.item, value.get(name) or {}))
        else:
            for index, item in enumerate(value.get(name) or ()):
                yield (name, index)
                yield from ((name, index, *path) for path in all_paths(field.item, item))
