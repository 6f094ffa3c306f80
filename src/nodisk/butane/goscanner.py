"""Where Go's YAML scanner differs from libyaml's, and its errors.

What libyaml reads otherwise is hidden from it behind characters that the document doesn't have, one for one, so that
every position stays; ``Source.shown`` brings it back. What libyaml accepts and Go does not is refused here.
"""

from __future__ import annotations

import codecs
import re
from typing import Any

import yaml

from nodisk.butane.pattern import Pattern

try:
    from yaml._yaml import CParser
except ImportError:  # a PyYAML without libyaml: slower, and some messages are worded otherwise
    from yaml import SafeLoader as CParser  # type: ignore[assignment]  # both have get_event and get_token
Parser: Any = CParser

MAX_READINGS = 20
MAX_READ = 2 * 1024 * 1024
"""Each tag or scalar in which something is hidden costs another reading: as many, or of so many bytes, are allowed."""

_LAST_COLON = rb"(?<![^\s\"'\[\]{},?])([^\s\"'\[\]{},?&*!][^\s\"'\[\]{},?]*):(?=[\[\]{},?])"
_TAG = Pattern(r"![-\w;/?:@&=+$,.!~*'()\[\]%]*", re.ASCII)
_IN_TAGS = ";~$@=+*()/?&_.-"
_QUOTED = Pattern(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BREAK = Pattern("\r\n|[\r\n\x85\u2028\u2029]")
_ESCAPE = Pattern(r"\\(.)", re.DOTALL)
_AHEAD = 3
"""How many tokens yaml.v3 has read, at least, when it parses the first of them."""


class YamlError(Exception):
    """The text is not YAML; ``line`` (from 1) where the parser says it."""

    def __init__(self, message: str, line: int | None = None, mark: Any = None) -> None:
        super().__init__(f"yaml: line {line}: {message}" if line else f"yaml: {message}")
        self.message = message
        self.line = line
        self.mark = mark
        """Where the parser was; None: after it."""


class TagInFlow(Exception):
    """libyaml ended a tag at a comma; Go takes the comma for a part of it."""

    def __init__(self, mark: Any) -> None:
        super().__init__()
        self.mark = mark


class Source:
    """A document's bytes as libyaml may read them."""

    def __init__(self, data: bytes) -> None:
        self.data = _as_utf8(data)
        self.hidden: dict[str, str] = {}
        """Character → what stands for it."""
        self.readings = 0
        self._text: str | None = None
        first = self.data.startswith(codecs.BOM_UTF8)
        if self.data.find(codecs.BOM_UTF8, 3 * first) >= 0:
            if first and self.data.startswith(codecs.BOM_UTF8, 3):
                # Go skips the first character of every line of such a text.
                raise YamlError("two byte order marks at the start: keep one or none")
            head, body = self.data[: 3 * first], self.data[3 * first :]
            self.data = head + body.replace(codecs.BOM_UTF8, self._private("\ufeff"))
        self.slashes = b"\\/" in self.data

    def shown(self, text: str) -> str:
        """``text`` with what was hidden in it."""
        for char, stand_in in self.hidden.items():
            text = text.replace(stand_in, char)
        return text

    @property
    def text(self) -> str:
        """As characters, without a byte order mark, so that marks' indices fit."""
        if self._text is None:
            self._text = self.data.decode("utf-8-sig", "replace")
        return self._text

    def _private(self, char: str) -> bytes:
        # If the document has every character for private use, it is refused for the one that it can't have.
        stand_in = next((one for one in map(chr, range(0xE000, 0xF900)) if one.encode() not in self.data), "\0")
        self.hidden[char] = stand_in
        return stand_in.encode()

    def hide_colons(self) -> bool:
        """Hide each colon that ends a word before a bracket or comma; False: that is done already.

        libyaml refuses ``[fe80::, a]``; to yaml.v3 only a space makes such a colon more than a part of the word.
        """
        if ":" in self.hidden:
            return False
        colon = self._private(":")
        self.data = re.sub(_LAST_COLON, lambda match: match[1] + colon, self.data)
        self._text = None
        return True

    def hide_tag(self, mark: Any) -> bool:
        """Hide commas and brackets in the tag at ``mark`` or a little later; False: there are none."""
        start = self.text.find("!", mark.index)
        tag = _TAG.match(self.text, start) if start >= 0 else None
        if tag is None or not re.search(r"[,\[\]]", tag[0]):
            return False
        self._read_again(mark)
        hidden = tag[0]
        for char in ",[]":
            if char in hidden and char not in self.hidden:
                free = next((one for one in _IN_TAGS if one not in self.text), None)
                if free is None:
                    raise YamlError("a tag with a comma or bracket", mark.line + 1)
                self.hidden[char] = free
            hidden = hidden.replace(char, self.hidden.get(char, char))
        self._replace(start, tag.end(), hidden)
        return True

    def hide_apostrophes(self, mark: Any) -> bool:
        r"""Hide the backslash of each ``\'`` in the quoted scalar at ``mark``; False: there is none.

        To libyaml this is no escape.
        """
        scalar = _QUOTED.match(self.text, mark.index)
        if scalar is None or not any(escape[1] == "'" for escape in _ESCAPE.finditer(scalar[0])):
            return False
        self._read_again(mark)
        if "" not in self.hidden:
            self._private("")
        gone = self.hidden[""] + "'"
        shown = _ESCAPE.sub(lambda escape: gone if escape[1] == "'" else escape[0], scalar[0])
        self._replace(scalar.start(), scalar.end(), shown)
        return True

    def _read_again(self, mark: Any) -> None:
        """Raises YamlError if that happens too often."""
        self.readings += 1
        if self.readings > max(MAX_READINGS, MAX_READ // len(self.data)):
            raise YamlError("too many tags with a comma and escaped apostrophes", mark.line + 1)

    def _replace(self, start: int, end: int, text: str) -> None:
        self._text = self.text[:start] + text + self.text[end:]
        first = self.data[:3] if self.data.startswith(codecs.BOM_UTF8) else b""
        self.data = first + self._text.encode("utf-8", "replace")

    def escaped_slash(self, start: Any, end: Any) -> yaml.scanner.ScannerError | None:
        r"""JSON's ``\/`` between two marks: no escape in Go, though libyaml takes it."""
        for escape in _ESCAPE.finditer(self.text, start.index, end.index):
            if escape[1] == "/":
                line = start.line + sum(1 for _ in _BREAK.finditer(self.text, start.index, escape.start()))
                mark = yaml.error.Mark("", escape.start(), line, 0, None, 0)
                words = "while parsing a quoted scalar", "found unknown escape character"
                return yaml.scanner.ScannerError(words[0], start, words[1], mark)
        return None

    def ahead(self, mark: Any) -> yaml.scanner.ScannerError | None:
        """The error of Go's scanner behind the token at ``mark``: it has read two more when that one is parsed.

        The ends of blocks at the same place come before that token.
        """
        get_token = Parser(self.data).get_token
        left = None
        try:
            while left != 0 and (token := get_token()) is not None:
                start = token.start_mark
                if self.slashes and isinstance(token, yaml.ScalarToken) and token.style == '"':
                    slash = self.escaped_slash(start, token.end_mark)
                    if slash is not None:
                        return slash
                if left is not None:
                    left -= 1
                elif (start.line, start.column) == (mark.line, mark.column) and type(token) is not yaml.BlockEndToken:
                    left = _AHEAD - 1
        except yaml.scanner.ScannerError as earlier:
            return earlier
        except yaml.YAMLError:
            pass
        return None


def _as_utf8(data: bytes) -> bytes:
    """UTF-16 with a byte order mark becomes UTF-8; what isn't well-formed stays, for the parser to refuse."""
    if data[:2] not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return data
    try:
        return data.decode("utf-16").encode()
    except UnicodeDecodeError:
        return data


def translated(error: yaml.YAMLError, *, old: bool) -> YamlError:
    """PyYAML's exception in the words and with the line number that Go gives it.

    yaml.v3 takes the context's line if it is not the first, else the problem's; counts from 1 for errors of
    the scanner, from 0 for those of the parser. yaml.v2 (``old``) takes the problem's first and counts from 0. Both
    name no line if that is 0.
    """
    if isinstance(error, yaml.reader.ReaderError):
        return YamlError(str(error.reason))
    problem = str(getattr(error, "problem", None) or "unknown problem parsing YAML content")
    marks = [getattr(error, "context_mark", None), getattr(error, "problem_mark", None)]
    line = next((mark.line for mark in (reversed(marks) if old else marks) if mark is not None and mark.line), 0)
    if line and not old and isinstance(error, yaml.scanner.ScannerError):
        line += 1
    return YamlError(problem, line or None)
