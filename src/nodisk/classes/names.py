"""People's names → names of namespaces: valid (RFC 1123), unique within a class, and the same at every run."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection

# What Unicode's decomposition leaves as it is.
_LETTERS = str.maketrans(
    {
        "ł": "l", "Ł": "l", "đ": "d", "Đ": "d", "ð": "d", "Ð": "d", "ø": "o", "Ø": "o", "ı": "i",
        "ß": "ss", "æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe", "þ": "th", "Þ": "th",
    }
)  # fmt: skip
_OTHERS = re.compile(r"[^a-z0-9]+")

LONGEST = 40
"""Of a student's part; with the class's (at most 20) and a hyphen it stays below the 63 of a DNS label."""
LONGEST_CLASS = 20

# Namespaces that Kubernetes, its add-ons or nodisk own: a student of that name would own them.
RESERVED = frozenset(
    {"default", "nodisk", "students", "local-path-storage", "ingress-nginx", "metallb-system", "calico"}
)
RESERVED_PREFIXES = ("kube-", "nodisk-", "calico-", "cilium-", "tigera-", "openshift-")


def reserved(name: str) -> bool:
    """Whether a namespace of that name belongs to the system."""
    return name in RESERVED or name.startswith(RESERVED_PREFIXES)


def ascii_label(text: str) -> str:
    """``Żółć Gęślą`` → ``zolc-gesla``; empty where no letter or digit has an ASCII form."""
    plain = unicodedata.normalize("NFKD", text.translate(_LETTERS)).casefold()
    kept = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return _OTHERS.sub("-", kept).strip("-")[:LONGEST].strip("-")


def student_label(name: str, key: str, taken: Collection[str]) -> str:
    """The label of a student called ``name``; ``key`` tells people of one name apart, ``taken`` is in use already.

    It depends on the row itself and on who came before it, never on who comes after.
    """
    mark = hashlib.sha256(key.encode()).hexdigest()
    label = ascii_label(name) or f"student-{mark[:6]}"
    if reserved(label):
        label = f"s-{label}"[:LONGEST].rstrip("-")
    length = 4
    found = label
    while found in taken:
        found = f"{label[: LONGEST - length - 1].rstrip('-')}-{mark[:length]}"
        length += 2
    return found
