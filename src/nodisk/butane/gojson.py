"""JSON as Go's ``encoding/json`` writes it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

_SPECIAL = "\\\\\\\\|\\\\[bf]|[<>&\u2028\u2029]|[\ud800-\udfff]"
_REPLACED = {
    "\\\\": "\\\\",
    "\\b": "\\u0008",
    "\\f": "\\u000c",
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def encode(value: Mapping[str, object], *, pretty: bool = False) -> str:
    """``value`` as one line, or indented by two spaces. Bytes that were not UTF-8 (surrogates) become U+FFFD."""
    if pretty:
        text = json.dumps(value, ensure_ascii=False, indent=2)
    else:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return re.sub(_SPECIAL, lambda match: _REPLACED.get(match[0], "\\ufffd"), text)


def quote(text: str) -> str:
    """A string as Go's ``%q`` prints it."""
    out = []
    for char in text:
        code = ord(char)
        if char in '"\\':
            out.append("\\" + char)
        elif char in "\a\b\f\n\r\t\v":
            out.append(
                {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}[char]
            )
        elif 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8
            out.append(f"\\x{code - 0xDC00:02x}")
        elif char == " " or (char.isprintable() and not char.isspace()):
            out.append(char)
        elif code < 0x80:
            out.append(f"\\x{code:02x}")
        else:
            out.append(f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    return '"' + "".join(out) + '"'
