"""YAML text → a tree of nodes with positions, by PyYAML's event parser (libyaml's where it is compiled in)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml
from yaml import events as ev

from nodisk.butane.events import Composer
from nodisk.butane.goscanner import Parser, Source, TagInFlow, YamlError, translated
from nodisk.butane.paths import Key, Path
from nodisk.butane.pattern import Pattern

SCALAR, MAPPING, SEQUENCE, ALIAS = "scalar", "map", "seq", "alias"

MAX_BYTES = 16 * 1024 * 1024
"""Ignition configs are fetched into RAM by an initramfs: nothing sensible is larger."""
MAX_NODES = 50_000
"""A fraction of a second of parsing; a machine's config has some hundreds."""
MAX_DEPTH = 1000
"""Python's own recursion limit is not far above; no config nests deeper than ten."""


class Node:
    """A scalar, mapping, sequence or alias, as written."""

    __slots__ = ("_places", "children", "column", "flow", "kind", "line", "plain", "tag", "target", "value")

    def __init__(self, kind: str, value: str, tag: str | None, plain: bool, mark: Any) -> None:
        self.kind = kind
        self.value = value
        """A scalar's text, an alias's anchor name; "" for the others."""
        self.tag = tag
        """The tag as written, in full (``tag:yaml.org,2002:str``); None: none."""
        self.plain = plain
        """A scalar without quotes and not a block."""
        self.line: int = mark.line + 1
        self.column: int = mark.column + 1
        self.children: list[Node] = []
        """A mapping's keys and values in turn; a sequence's items."""
        self.target: Node | None = None
        """What an alias stands for."""
        self._places: dict[str, int] | None = None
        self.flow = False
        """A collection in brackets or braces: there yaml.v3 ends a word at ``?``, which libyaml does not."""

    def place(self, name: str) -> int | None:
        """The index of a mapping's key as written, the last of equal ones; aliases and merge keys are not followed."""
        if self.kind != MAPPING:
            return None
        if self._places is None:
            self._places = {self.children[index].value: index for index in range(0, len(self.children), 2)}
        return self._places.get(name)

    def child(self, name: str) -> Node | None:
        """A mapping's value by its key as written."""
        place = self.place(name)
        return None if place is None else self.children[place + 1]

    def rename(self, name: str, new: str) -> None:
        """Give every key called ``name`` another name."""
        for key in self.children[::2]:
            if key.value == name:
                key.value = new
        self._places = None

    def position(self, path: Path) -> tuple[int, int]:
        """Line and column of the deepest node on ``path`` that exists."""
        node = self
        for part in path:
            if isinstance(part, int):
                if node.kind != SEQUENCE or part >= len(node.children):
                    break
                node = node.children[part]
                continue
            if isinstance(part, Key):
                place = node.place(part)
                if place is not None:
                    node = node.children[place]
                break
            child = node.child(part)
            if child is None:
                break
            node = child
        return node.line, node.column


def parse(data: bytes, *, old: bool = False) -> Node | None:
    """The first document of ``data``; None if it is empty. Raises YamlError. ``old``: as yaml.v2 reads it."""
    if len(data) > MAX_BYTES:
        raise YamlError(f"document is larger than {MAX_BYTES // 1024 // 1024} MiB")
    source = Source(data)
    while True:
        try:
            return _compose(source, old=old)
        except TagInFlow as tag:
            if not source.hide_tag(tag.mark):
                raise YamlError("did not find expected whitespace or line break", tag.mark.line + 1) from tag
        except yaml.YAMLError as error:
            if _hidden(source, error, old=old):
                continue
            if isinstance(error, yaml.parser.ParserError) and not old:
                raise translated(source.ahead(error.problem_mark) or error, old=old) from error
            raise translated(error, old=old) from error
        except YamlError as error:
            earlier = source.ahead(error.mark) if error.mark is not None and not old else None
            if earlier is not None:
                raise translated(earlier, old=old) from error
            raise
        except RecursionError as error:  # only PyYAML's pure Python parser recurses
            raise YamlError(f"exceeded max depth of {MAX_DEPTH}") from error


def _hidden(source: Source, error: yaml.YAMLError, *, old: bool) -> bool:
    """Whether what ``error`` is about is no error to Go, and is now hidden from libyaml."""
    if not isinstance(error, yaml.scanner.ScannerError):
        return False
    if error.problem == "found unknown escape character":
        return source.hide_apostrophes(error.context_mark)
    if error.context == "while scanning a tag":
        return source.hide_tag(error.context_mark)
    return not old and error.problem == "found unexpected ':'" and source.hide_colons()


def _compose(source: Source, *, old: bool) -> Node | None:
    get_event = Parser(source.data).get_event
    get_event()  # the start of the stream
    start = get_event()
    if isinstance(start, ev.StreamEndEvent):
        return None
    if getattr(start, "version", None) not in (None, (1, 1)):
        raise YamlError("found incompatible YAML document", start.start_mark.line or None)
    composer = _Composer(get_event, source, old=old)
    root = composer.compose()
    _end(source, get_event, old=old)
    if old:  # yaml.v2 looks an anchor up when it decodes: the last of a name counts, and what nobody reads may lack one
        for node in composer.aliases:
            node.target = composer.anchors.get(node.value)
    return root


class _Composer(Composer[Node]):
    def __init__(self, get_event: Callable[[], Any], source: Source, *, old: bool) -> None:
        super().__init__(get_event)
        self.aliases: list[Node] = []
        self._source, self._old = source, old
        self._shown = source.shown if source.hidden else None
        self._count = 0

    def scalar(self, event: Any, parent: Node | None) -> Node:
        plain = not event.style and not (self._old and event.tag == "!")  # to yaml.v2 what has that tag is a text
        value = self._shown(event.value) if self._shown else event.value
        node = self._node(SCALAR, value, event.tag, plain, event.start_mark)
        if event.style:
            if self._source.slashes and event.style == '"':
                slash = self._source.escaped_slash(event.start_mark, event.end_mark)
                if slash is not None:
                    raise slash
        elif parent is not None and parent.flow:
            _check_word(node, event, parent, self._source, old=self._old)
        return node

    def collection(self, event: Any, depth: int) -> Node:
        kind = MAPPING if type(event) is ev.MappingStartEvent else SEQUENCE
        node = self._node(kind, "", event.tag, False, event.start_mark)
        node.flow = bool(event.flow_style)
        if depth > MAX_DEPTH:
            raise YamlError(f"exceeded max depth of {MAX_DEPTH}", node.line)
        return node

    def alias(self, event: Any) -> Node:
        node = self._node(ALIAS, event.anchor, None, False, event.start_mark)
        node.target = self.anchors.get(event.anchor)
        self.aliases.append(node)
        if node.target is None and not self._old:
            raise YamlError(f"unknown anchor '{event.anchor}' referenced", mark=event.start_mark)
        return node

    def close(self, node: Node, children: list[Node], event: Any) -> None:
        node.children = children

    def _node(self, kind: str, value: str, tag: str | None, plain: bool, mark: Any) -> Node:
        self._count += 1
        if self._count > MAX_NODES:
            raise YamlError(f"document has more than {MAX_NODES} nodes")
        return Node(kind, value, self._shown(tag) if tag and self._shown else tag, plain, mark)


def _end(source: Source, get_event: Any, *, old: bool) -> None:
    """A document that does not end properly is an error, even though its content was fine.

    yaml.v2 reads on to the start of the next document, yaml.v3 as far as its scanner looks ahead.
    """
    end = get_event().start_mark
    try:
        last = isinstance(get_event(), ev.StreamEndEvent)
    except yaml.YAMLError:
        if old:
            raise
        last = False
    if not last and not old:
        earlier = source.ahead(end)
        if earlier is not None:
            raise earlier


_INNER_COLON = Pattern(r":(?=\S)")
"""yaml.v2 takes no word in brackets that has one."""


def _check_word(node: Node, event: Any, parent: Node, source: Source, *, old: bool) -> None:
    """What libyaml takes for a word without quotes in brackets or braces, and Go reads otherwise. Raises YamlError."""
    mark = event.start_mark
    if node.tag and not node.value and source.text[event.end_mark.index : event.end_mark.index + 1] == ",":
        start = source.text.rfind("!", mark.index, event.end_mark.index)
        if _TAG_END.match(source.text, start, event.end_mark.index):
            raise TagInFlow(mark)
    if old and _INNER_COLON.search(node.value):
        raise YamlError("found unexpected ':'", mark.line or None)
    if "?" in node.value[1:]:
        closing = "}" if parent.kind == MAPPING else "]"
        raise YamlError(f"did not find expected ',' or '{closing}'", parent.line - 1 or mark.line or None, mark)


_TAG_END = Pattern(r"!\S*\Z")
"""No space between the tag and what follows."""
