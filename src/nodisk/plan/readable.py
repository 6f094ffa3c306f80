"""An Ignition config as text for people to read and compare; every value of the config is in the text.

Encoded values are shown decoded: ``data:`` URLs, base64 and gzip. A key that this module doesn't know is shown by its
name, so that a newer spec hides nothing.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nodisk.butane import dataurl

MOST = 64 << 20
"""Bytes to which compressed contents are unpacked; longer contents are cut, with a note."""

Values = Mapping[str, Any]


def readable(config: Values) -> str:
    """Ignition itself, then accounts, disks, directories, files, links and units, each under a line ``===== …``."""
    passwd, storage, systemd = (config.get(name, {}) for name in ("passwd", "storage", "systemd"))
    parts = [
        *_plain("ignition", config.get("ignition", {})),
        *_plain("kernel arguments", config.get("kernelArguments", {})),
        *_items("user", "name", passwd, "users"),
        *_items("group", "name", passwd, "groups"),
        *_items("disk", "device", storage, "disks"),
        *_items("RAID", "name", storage, "raid"),
        *_items("encrypted volume", "name", storage, "luks"),
        *_items("filesystem on", "device", storage, "filesystems"),
        *(part for one in storage.get("directories", ()) for part in _node("directory", one, 0o755)),
        *(part for one in storage.get("files", ()) for part in _file(one)),
        *(part for one in storage.get("links", ()) for part in _link(one)),
        *(part for one in systemd.get("units", ()) for part in _unit(one)),
        *_plain("passwd", _without(passwd, "users", "groups")),
        *_plain("storage", _without(storage, *_STORAGE)),
        *_plain("systemd", _without(systemd, "units")),
        *_plain("more", _without(config, "ignition", "kernelArguments", "passwd", "storage", "systemd")),
    ]
    return "".join(parts)


_STORAGE = ("disks", "raid", "luks", "filesystems", "directories", "files", "links")


def _plain(title: str, values: Values) -> Iterator[str]:
    if lines := list(_mapping(values)):
        yield _head(title)
        yield from lines
        yield "\n"


def _items(title: str, name: str, section: Values, key: str) -> Iterator[str]:
    for one in section.get(key, ()):
        yield _head(f"{title} {_scalar(one.get(name, ''))}")
        yield from _mapping(_without(one, name))
        yield "\n"


def _node(kind: str, one: Values, mode: int, *shown: str, target: str = "") -> Iterator[str]:
    """The heading of a file, directory or link, and its other keys except those in ``shown``."""
    notes = [f"mode {one.get('mode') if one.get('mode') is not None else mode:04o}"] if mode else []
    if one.get("overwrite"):
        notes.append("replaces what is there")
    yield _head(f"{kind} {_scalar(one.get('path', ''))}{target}", *notes)
    hidden = {"path", *shown, *(("mode",) if mode else ()), *(("overwrite",) if one.get("overwrite") else ())}
    yield from _mapping(_without(one, *hidden))
    if not shown:
        yield "\n"


def _link(one: Values) -> Iterator[str]:
    kind = "hard link" if one.get("hard") else "link"
    shown = ("target", "hard") if one.get("hard") is not None else ("target",)
    yield from _node(kind, one, 0, *shown, target=f" → {_scalar(one.get('target') or '')}")
    if one.get("hard") is False:
        yield "hard: false\n"
    yield "\n"


def _file(one: Values) -> Iterator[str]:
    yield from _node("file", one, 0o644, "contents", "append")
    contents = one.get("contents") or {}
    if contents.get("source"):
        yield from _content(contents)
    else:
        yield from _mapping(contents)
        if not one.get("append"):
            yield "(no contents: what is there stays; if nothing is, an empty file)\n"
    for part in one.get("append") or ():
        yield "--- appended\n"
        yield from _content(part)
    yield "\n"


def _unit(one: Values) -> Iterator[str]:
    words = {
        "enabled": {True: "enabled", False: "disabled"},
        "mask": {True: "masked: it can't be started", False: "not masked"},
    }
    notes = [words[key][one[key]] for key in words if isinstance(one.get(key), bool)]
    yield _head(f"unit {_scalar(one.get('name', ''))}", *notes)
    yield from _mapping(_without(one, "name", "contents", "dropins", "enabled", "mask"))
    yield (_text(one["contents"]) if one.get("contents") else "(as the image has it)\n") + "\n"
    for part in one.get("dropins") or ():
        yield _head(f"drop-in {_scalar(one.get('name', ''))}.d/{_scalar(part.get('name', ''))}")
        yield from _mapping(_without(part, "name", "contents"))
        yield (_text(part["contents"]) if part.get("contents") else "(empty)\n") + "\n"


def _content(resource: Values) -> Iterator[str]:
    """A single resource: notes on it, then its content."""
    text, notes = _unpacked(resource)
    for note in notes:
        yield f"({note})\n"
    yield from _mapping(_without(resource, *(("source", "compression") if text is not None else ())))
    if text is not None:
        yield text


def _unpacked(resource: Values) -> tuple[str | None, list[str]]:
    """The text behind a resource's ``data:`` URL, and notes on its encoding; None: it is elsewhere."""
    source, packing = str(resource.get("source") or ""), resource.get("compression")
    try:
        data = dataurl.content(source)
        if packing == "gzip":
            unpacker = zlib.decompressobj(31)
            data = unpacker.decompress(data, MOST)
            notes = ["compressed by gzip, shown unpacked"]
            if unpacker.unconsumed_tail:
                notes.append(f"longer than {MOST >> 20} MiB: cut")
        elif packing:
            return None, []
        else:
            notes = []
    except (ValueError, zlib.error):
        return None, []
    try:
        return _text(data.decode()), notes
    except UnicodeError:
        return base64.encodebytes(data).decode(), [*notes, f"{len(data)} bytes that are no text, shown as base64"]


def _text(text: str) -> str:
    """A file's text: whole lines, and no terminal control characters."""
    shown = "".join(char if char in "\n\t" or char.isprintable() else _escaped(char) for char in text)
    if not shown:
        return "(empty)\n"
    return shown if shown.endswith("\n") else shown + "\n(no newline at the end)\n"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode()


def _head(title: str, *notes: str) -> str:
    return f"===== {title}{_notes(notes)}\n"


def _notes(notes: Sequence[str]) -> str:
    return f" ({', '.join(notes)})" if notes else ""


def _without(values: Values, *keys: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in keys}


def _mapping(values: Values) -> Iterator[str]:
    yield from (f"{line}\n" for line in _lines(values))


def _lines(values: Values) -> Iterator[str]:
    """``key: value``, sorted; ``key.key: value`` for nested keys; null values are left out."""
    text, notes = _unpacked(values) if isinstance(values.get("source"), str) else (None, [])
    for key, value in sorted(values.items()):
        if text is not None and key in ("source", "compression"):
            continue
        if isinstance(value, Mapping):
            yield from (line if line.startswith(" ") else f"{key}.{line}" for line in _lines(value))
        elif isinstance(value, list):
            yield from _list(key, value)
        elif value is not None:
            yield f"{key}: {_scalar(value)}"
    if text is not None:
        yield f"content{_notes(notes)}:"
        yield from (f"  | {line}" for line in text.removesuffix("\n").split("\n"))


def _list(key: str, values: list[Any]) -> Iterator[str]:
    if values:
        yield f"{key}:"
    for value in values:
        lines = (list(_lines(value)) or ["(empty)"]) if isinstance(value, Mapping) else [_scalar(value)]
        yield f"  - {lines[0]}"
        yield from (f"    {line}" for line in lines[1:])


def _scalar(value: object) -> str:
    """A value on one line; text is unquoted if it can't be misread."""
    if isinstance(value, str) and value and value == value.strip() and value.isprintable():
        return value
    return json.dumps(value, ensure_ascii=not (isinstance(value, str) and value.isprintable()))
