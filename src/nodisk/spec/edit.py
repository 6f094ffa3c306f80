"""Edits of lab.yaml's list of machines: text in, text out; every character outside the edit stays. Pure.

An edit inserts, removes or replaces a span of the text, found by the positions of ``yamltree``; the rest is never
rewritten. Where more than one edit would be right (an alias, a comment between two values in brackets), there is none,
and a problem with its line says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from nodisk import yamltext, yamltree
from nodisk.yamltree import Node, Problem, YamlError

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What ends a line in YAML 1.1."""
_BARE = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}")
"""An IPv4 address: no reader of YAML takes it for anything but text."""


def add(text: str, machines: Sequence[Mapping[str, str]]) -> str:
    """Add machines (key → value) to the end of the list, written as its last one is.

    Raises YamlError where the list isn't written where it belongs.
    """
    found = _list(text)
    return _add_flow(text, found, machines) if found.flow else _add_block(text, found, machines)


def remove(text: str, index: int) -> str:
    """Remove the machine at ``index``, with the comments inside its entry and beside it.

    Raises YamlError where it isn't clear what goes.
    """
    found = _list(text)
    items = found.items or []
    if not found.flow:
        dash = _dash(text, found, index)
        return text[: _line_start(text, dash)] + text[_entry_end(text, items[index], dash) :]
    return _remove_flow(text, items, index)


def replace(text: str, index: int, key: str, value: str) -> str:
    """Give a key of the machine at ``index`` another value, in the quotes that it has.

    Raises YamlError for an alias or an anchor: its other uses would change, or not change, along with it.
    """
    item = (_list(text).items or [])[index]
    node = item.fields[key][1]
    opening = text[node.start : node.start + 1]
    if node.scalar is None or not item.start <= node.start < item.end or opening in "&*!|>":
        what = f"the machine's {key} is written with an anchor, an alias or a tag, or in a block"
        raise _unclear(item.fields[key][0], what, f"change it in an editor: `{key}: {value}`")
    written = f"{opening}{value}{opening}" if opening in "'\"" else value if key == "mac" else yamltext.scalar(value)
    return text[: node.start] + written + text[node.end :]


def _list(text: str) -> Node:
    root, _ = yamltree.parse(text)
    key, found = root.fields["machines"]
    if found.items is None or found.start < key.end:
        raise _unclear(key, "the machines stand elsewhere, under an anchor", "write the list itself here")
    return found


def _unclear(node: Node, what: str, hint: str) -> YamlError:
    return YamlError(Problem(node.line, node.column, what, hint, "machines"))


def _add_block(text: str, found: Node, machines: Sequence[Mapping[str, str]]) -> str:
    items = found.items or []
    last, dash = items[-1], _dash(text, found, len(items) - 1)
    indent = text[_line_start(text, dash) : dash]
    gap = text[dash + 1 : last.start]
    gap = gap if gap and not gap.strip(" ") else " "  # the entry may start on a line of its own
    newline = _newline(text, last)
    if last.flow:
        entries = [f"{indent}-{gap}{_in_brackets(text, last, machine)}" for machine in machines]
    else:
        inner = indent + " " + gap
        pairs = ([f"{key}: {_scalar(value)}" for key, value in machine.items()] for machine in machines)
        entries = [f"{indent}-{gap}" + f"{newline}{inner}".join(lines) for lines in pairs]
    at = _entry_end(text, last, dash)
    apart = len(items) > 1 and _blank_line(text[items[-2].end : dash])
    added = "".join(f"{newline if apart else ''}{entry}{newline}" for entry in entries)
    if at == len(text) and not _at_line_start(text, at):
        added = newline + added.removesuffix(newline)
    return text[:at] + added + text[at:]


def _add_flow(text: str, found: Node, machines: Sequence[Mapping[str, str]]) -> str:
    items = found.items or []
    last = items[-1]
    entries = [_in_brackets(text, last, machine) for machine in machines]
    indent = text[_line_start(text, last.start) : last.start]
    rest = text[last.end : _line_end(text, last.end)]
    # One machine per line, and the bracket further below: a comment beside the last one stays beside it.
    match = re.fullmatch(r"[ \t]*(,?)[ \t]*(#.*)?", _BREAK.sub("", rest))
    if len(items) > 1 and not indent.strip() and match and _line_end(text, last.end) < found.end:
        comma = bool(match[1])
        at, newline = _line_end(text, last.end), _newline(text, last)
        lines = f",{newline}".join(indent + entry for entry in entries) + ("," if comma else "") + newline
        return text[: last.end] + ("" if comma else ",") + text[last.end : at] + lines + text[at:]
    return text[: last.end] + "".join(f", {entry}" for entry in entries) + text[last.end :]


def _remove_flow(text: str, items: Sequence[Node], index: int) -> str:
    start, end = items[index].start, items[index].end
    first, last = _line_start(text, start), _line_end(text, end)
    if not text[first:start].strip() and re.fullmatch(r"[ \t]*,?[ \t]*(#.*)?", _BREAK.sub("", text[end:last])):
        return text[:first] + text[last:]  # lines of its own; a comma that stays before the bracket is allowed
    if index + 1 < len(items):
        between, end = (end, items[index + 1].start), items[index + 1].start
    elif index > 0:
        between, start = (items[index - 1].end, start), items[index - 1].end
    else:
        between = (end, end)
    if "#" in text[slice(*between)]:
        raise _unclear(items[index], "a comment stands beside this machine's entry", "remove the entry in an editor")
    return text[:start] + text[end:]


def _in_brackets(text: str, like: Node, machine: Mapping[str, str]) -> str:
    """A machine as ``{…}``: as JSON where the other machine's keys are quoted."""
    first = like.entries[0][0] if like.entries else like
    if text[first.start : first.start + 1] == '"':
        return json.dumps(machine)
    return "{" + ", ".join(f"{key}: {_scalar(value)}" for key, value in machine.items()) + "}"


def _scalar(value: str) -> str:
    return value if _BARE.fullmatch(value) else yamltext.scalar(value)


def _dash(text: str, found: Node, index: int) -> int:
    """Where the dash of an item of a block is: the first on a line after what comes before the item."""
    items = found.items or []
    at = _after(text, items[index - 1].end) if index else _line_start(text, found.start)
    while at <= items[index].start:
        end = _line_end(text, at)
        line = text[at:end]
        if line.lstrip(" ").startswith("-"):
            return at + line.index("-")
        if end == at:
            break
        at = end
    raise _unclear(items[index], "no dash at the start of a line belongs to this machine", "edit it by hand")


def _entry_end(text: str, item: Node, dash: int) -> int:
    """Where the lines of a block's item end; comments below it that are further in than its dash belong to it."""
    column, at = dash - _line_start(text, dash), _after(text, item.end)
    while at < len(text):
        end = _line_end(text, at)
        comment = text[at:end].lstrip(" \t")
        if not comment.startswith("#") or end - at - len(comment) <= column:
            break
        at = end
    return at


def _after(text: str, end: int) -> int:
    """The start of the line after a value that ends at ``end``. A ``|`` block ends there by itself."""
    return end if _at_line_start(text, end) else _line_end(text, end)


def _at_line_start(text: str, at: int) -> bool:
    return at == 0 or bool(_BREAK.fullmatch(text[at - 1 : at]))


def _line_start(text: str, at: int) -> int:
    while not _at_line_start(text, at):
        at -= 1
    return at


def _line_end(text: str, at: int) -> int:
    match = _BREAK.search(text, at)
    return match.end() if match else len(text)


def _newline(text: str, last: Node) -> str:
    """How lines end where a machine is added."""
    match = _BREAK.search(text, last.end) or _BREAK.search(text)
    return match[0] if match and match[0] in ("\r\n", "\r") else "\n"


def _blank_line(text: str) -> bool:
    return any(not line.strip() for line in _BREAK.split(text)[1:-1])
