"""docs/reference/butane.md, made from the description: every key of every variant and version.

``python -m nodisk.butane.reference`` prints it, ``python -m nodisk.butane.reference write DIR`` writes it to DIR.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from nodisk.butane.clc import fields as clc
from nodisk.butane.clc import services
from nodisk.butane.fields import CONFIG, VERSIONS
from nodisk.butane.schema import Field, ListOf, Struct, in_version

NAME = "butane.md"
_COMMAND = "python -m nodisk.butane.reference write docs/reference"


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_versions(), _KEYS, *_tables(CONFIG, _butane_since), _CLC, *_clc_tables(), ""])


_HEAD = f"""\
# Butane and Container Linux Config

<!-- Generated from the description of the fields by `{_COMMAND}`: change src/nodisk/butane/fields.py. -->

`nodisk butane` translates both to Ignition, and `nodisk.butane` is the same as a library. To move from the old format
to the new one, see [From Container Linux Config to Butane](../how-to/clc-to-butane.md).

## Command line

`nodisk butane [FILE]` reads FILE or stdin and writes Ignition to stdout.

| option | meaning |
| --- | --- |
| `-o`, `--output FILE` | write to FILE |
| `-d`, `--files-dir DIR` | embed local files, only from DIR |
| `-s`, `--strict` | fail on any warning |
| `-p`, `--pretty` | indent the JSON |
| `-c`, `--check` | write nothing |
| `-r`, `--raw` | accepted for compatibility with Butane; has no effect for fcos and flatcar |
| `--raw-errors` | print one line per message, without the document's lines |
| `--color[=auto\\|always\\|never]` | colour messages; without a value: `always` |
| `-V`, `--version` | print nodisk's version |
| `--from clc` | the input is a Container Linux Config |
| `--to 2.1.0\\|2.2.0\\|2.3.0` | with `--from clc`: the Ignition version (default 2.3.0) |
| `--platform NAME` | with `--from clc`: the platform that provides `{{PRIVATE_IPV4}}` and similar values |

An empty FILE means stdin or stdout. A flag may have a value: `--strict=false`. `-D` is accepted and does nothing.

Exit status: 0: translated. 1: the document has errors (or warnings, with `--strict`); nothing is written. 2: invalid
arguments.

## Library

```python
from nodisk.butane import merge, translate, validate

result = translate(text, files_dir="files", strict=False)
result.ignition   # a dict, or None if it failed
result.json()     # the same as text, as Butane writes it
result.report     # entries with severity, line, column, path, message; failure: None if it did not fail
```

`validate(config)` validates an Ignition config; `merge(base, overlay)` merges two of the same version.
`nodisk.butane.clc.translate(text, to="2.3.0", platform="")` translates Container Linux Config. No text makes any of
them raise. Only files below `files_dir` are read: links that lead out of it, devices, sockets and pipes are refused.

Butane differs in two ways: it follows links out of `files_dir`, and refuses every file if that is `/`.

The output is Butane's, byte for byte, except for compressed content. That expands to the same bytes, but the compressed
bytes differ: Butane's come from Go's compressor, nodisk's from zlib. Reproducing Go's would mean compressing in Python,
which takes about 2 ms for a file of 300 bytes, more than translating a whole machine; and no machine would see a
difference. Butane decides which content is compressed. Where a few bytes decide (only short content comes so close),
nodisk computes the length that Go's compressor would reach.

Limits: 16 MiB of text, 50,000 nodes, 1,000 levels; with aliases 100,000 values and 32 MiB of text; 64 MiB per local
file, 256 MiB in all. Tags with a comma and quoted texts with an escaped apostrophe cost one more parse each: 20 are
allowed in a large document, more in a smaller one.

## Versions
"""

_KEYS = """
An unknown key, or one of another version, gives a warning and is left out.

## Butane

`since`: the first version that has the key, fcos / flatcar, unless all have it."""

_CLC = """
## Container Linux Config

`since`: the first Ignition version that has the key, unless that is 2.1.0."""


def _versions() -> Iterator[str]:
    yield "| variant | version | Ignition |"
    yield "| --- | --- | --- |"
    for variant, versions in VERSIONS.items():
        for version, spec in versions.items():
            yield f"| {variant} | {version} | 3.{spec}.0 |"


def _butane_since(field: Field) -> str:
    """The versions in which a field first exists; "" if in all."""
    found = []
    for variant, versions in VERSIONS.items():
        have = [
            version
            for version, spec in versions.items()
            if in_version(field, spec, int(version.split(".")[1]) if variant == "fcos" else None)
        ]
        first = have[0] if have else "—"
        found.append("all" if len(have) == len(versions) else first)
    return "" if set(found) == {"all"} else " / ".join(found)


def _clc_since(field: Field) -> str:
    return f"2.{field.since}.0" if field.since > 1 else ""


def _kind(field: Field) -> str:
    kind = field.kind
    if isinstance(kind, ListOf):
        inner = "mappings" if isinstance(kind.item, Struct) else "strings"
        return f"list of {inner}"
    return "mapping" if isinstance(kind, Struct) else {"unsigned": "integer"}.get(kind, kind)


def _tables(root: Struct, since: object) -> Iterator[str]:
    """A table a mapping, the ones inside after the one that holds them."""
    waiting: list[tuple[str, Struct]] = [("", root)]
    seen: dict[tuple[Field, ...], str] = {}
    while waiting:
        path, struct = waiting.pop(0)
        if struct.fields in seen:
            yield f"\n### `{path}`\n\nThe same keys as [`{seen[struct.fields]}`](#{_anchor(seen[struct.fields])})."
            continue
        if not struct.fields:
            continue
        seen[struct.fields] = path
        yield f"\n### `{path}`\n" if path else "\n### The top level\n"
        yield "| key | value | since | meaning |"
        yield "| --- | --- | --- | --- |"
        for field in struct.fields:
            note = f" ({field.variants_note})" if field.variants_note else ""
            doc = (field.doc + note).replace("|", "\\|")
            yield f"| `{field.name}` | {_kind(field)} | {since(field)} | {doc} |"  # type: ignore[operator]
            inner = field.kind.item if isinstance(field.kind, ListOf) else field.kind
            if isinstance(inner, Struct):
                waiting.append((f"{path}.{field.name}".lstrip("."), inner))


def _anchor(path: str) -> str:
    """How a heading is linked to."""
    return path.replace(".", "")


def _clc_tables() -> Iterator[str]:
    yield from _tables(clc.CONFIG, _clc_since)
    yield (
        "\n### `etcd` and `flannel`\n\n`version` (etcd 2.3 to 3.3, default 3.0; flannel 0.5 to 0.7, default 0.6) and "
        "the options of that version with `_` for `-`; flannel also has `network_config` (JSON). Values may hold "
        "`{HOSTNAME}`, `{PRIVATE_IPV4}`, `{PUBLIC_IPV4}`, `{PRIVATE_IPV6}`, `{PUBLIC_IPV6}`, which `--platform` fills: "
        + ", ".join(f"`{name}`" for name in services.PLATFORMS)
        + "."
    )


def main(argv: list[str]) -> None:
    """Print the page, or write it into a folder."""
    if argv[:1] == ["write"]:
        (Path(argv[1]) / NAME).write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())


if __name__ == "__main__":
    main(sys.argv[1:])
