"""The JSON Schema of lab.yaml for editors and its reference page, both made from the model.

``python -m nodisk.spec.schema`` prints the schema, ``python -m nodisk.spec.schema reference`` the page,
``python -m nodisk.spec.schema write DIR`` writes both into DIR (docs/reference).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nodisk import files
from nodisk.image_name import ImageName
from nodisk.spec.lessons import DaysOff, Lead, Lesson, Zone
from nodisk.spec.model import Lab
from nodisk.spec.model_peers import Rate
from nodisk.spec.section import keys
from nodisk.values import KubeVersion, Mac, Name, Seat, Size

SCHEMA, REFERENCE = "lab.schema.json", "lab-yaml.md"


def schema() -> dict[str, Any]:
    """The schema, draft 2020-12. It describes single values; the parser checks the rules between values."""
    made = Lab.model_json_schema(mode="validation")
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = "lab.yaml of nodisk"
    made["$defs"]["Machine"]["properties"]["labels"]["additionalProperties"] = _WORD
    for definition in (made, *made["$defs"].values()):
        for name, value in definition.get("properties", {}).items():
            _readable(name, value)
    return made


# Editors read `1.36`, `yes` or `7` as a number or a boolean before they ask the schema; the parser keeps the text.
_WORD = {"type": ["string", "number", "boolean"]}


def _readable(name: str, value: dict[str, Any]) -> None:
    """Drop pydantic's titles, which only repeat the key, and let descriptions be one line."""
    value.pop("title", None)
    if "description" in value:
        value["description"] = " ".join(value["description"].split())
    if name == "version":
        value["anyOf"] = [{**KubeVersion.schema, "type": ["string", "number"]}, {"type": "null"}]


def schema_text() -> str:
    """The schema as it is published."""
    return json.dumps(schema(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def reference() -> str:
    """The reference page: the text of reference.md, and one table per section in the model's order."""
    tables = []
    for place, model in _sections(Lab, ""):
        title = f"## `{place}`" if place else "## The top level"
        rows = [_row(name, info) for name, info in keys(model).items()]
        head = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
        tables.append("\n".join([title, "", _sentence(model.__doc__), "", *head, *rows]))
    page = (Path(__file__).parent / "reference.md").read_text(encoding="utf-8")
    return page.replace("<!-- tables -->", "\n\n".join(tables))


def _sections(model: type[BaseModel], place: str) -> Iterator[tuple[str, type[BaseModel]]]:
    yield place, model
    for name, info in keys(model).items():
        inner = f"{place}.{name}" if place else name
        for kind in _parts(info.annotation):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                origin = get_origin(info.annotation)
                yield from _sections(kind, inner + ("[]" if origin is tuple else ".ROLE" if origin is dict else ""))


def _parts(annotation: Any) -> tuple[Any, ...]:
    return (annotation, *get_args(annotation))


def _row(name: str, info: FieldInfo) -> str:
    text = _sentence(info.description).replace("|", "\\|")
    return f"| `{name}` | {_kind(info.annotation)} | {_default(info)} | {text} |"


def _sentence(text: str | None) -> str:
    return " ".join((text or "").split())


_KINDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    bool: "`true`, `false`",
    Name: "name (RFC 1123)",
    Mac: "MAC address",
    KubeVersion: "version",
    Size: "size, such as `2GiB`",
    Rate: "rate, such as `200M`",
    Seat: "seat, such as `2,3`",
    Lesson: "lesson, such as `mon 10:15-12:00`",
    DaysOff: "date or dates, such as `2026-12-21..2027-01-06`",
    Zone: "time zone, such as Europe/Warsaw",
    Lead: "time, such as `15m`",
    Path: "path, from lab.yaml's folder",
    ImageName: "container image, such as `ghcr.io/some/tool:v1`",
}


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is tuple:
        return f"list of {_kind(arguments[0])}"
    if origin is dict:
        return f"mapping of {_kind(arguments[0])} to {_kind(arguments[1])}"
    if origin is not None and type(None) in arguments:
        return " or ".join(_kind(one) for one in arguments if one is not type(None))
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return ", ".join(f"`{member.value}`" for member in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return _KINDS.get(annotation) or {"IPv4Address": "IPv4 address", "IPv4Network": "IPv4 network"}[annotation.__name__]


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.default_factory() if info.default_factory else info.default  # type: ignore[call-arg]
    if value is None or value in ((), {}, "") or isinstance(value, BaseModel):
        return "—"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def main(words: list[str]) -> None:
    """See the module's docstring."""
    match words:
        case ["write", folder]:
            files.write(Path(folder) / SCHEMA, schema_text())
            files.write(Path(folder) / REFERENCE, reference())
        case ["reference"]:
            sys.stdout.write(reference())
        case _:
            sys.stdout.write(schema_text())


if __name__ == "__main__":
    main(sys.argv[1:])
