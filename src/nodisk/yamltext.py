"""Python data → YAML that every reader understands in the same way.

Readers disagree on which bare words are texts: ``08``, ``1e3``, ``0o17`` and ``2026-01-01`` are numbers or dates to
some and words to others (YAML 1.1, YAML 1.2, and Go's readers, which follow neither to the letter). So every text is
written in double quotes, and only keys that no reader can take for anything else are left bare. Nothing else of nodisk
writes YAML; ``yamltree`` reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import yaml

_STR: Final = "tag:yaml.org,2002:str"
# A number, a date or a special value starts with a digit, a sign or a dot; what starts with a letter is a word, or one
# of YAML's own.
_BARE = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*")
_OWN = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


class _Dumper(yaml.SafeDumper):
    """PyYAML's pure Python dumper: libyaml's breaks lines differently, so texts would differ between hosts."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        node = super().represent_mapping(tag, mapping, flow_style)
        for key, _ in node.value:
            if key.tag == _STR and _is_bare(key.value):
                key.style = None
        return node


def _text(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(_STR, str(data), style='"')


_Dumper.add_representer(str, _text)
_Dumper.add_multi_representer(str, _text)  # enumerations of texts


def dump(document: Any) -> str:
    """One document: mappings and lists in block style, keys in their order, every text quoted."""
    return dump_all([document])


def dump_all(documents: Iterable[Any], *, sort_keys: bool = False) -> str:
    """Several documents, divided by ``---``."""
    found = list(documents)
    text: str = yaml.dump_all(
        found,
        Dumper=_Dumper,
        sort_keys=sort_keys,
        default_flow_style=False,
        allow_unicode=True,
        width=float("inf"),
        explicit_start=len(found) > 1,
    )
    return text.removeprefix("---\n")


def scalar(text: str) -> str:
    """A text within a line: bare if no reader could take it for anything else, quoted otherwise."""
    return text if _is_bare(text) else dump(text).removesuffix("\n")


def _is_bare(text: str) -> bool:
    return bool(_BARE.fullmatch(text)) and text.lower() not in _OWN
