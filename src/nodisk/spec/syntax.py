"""The syntax of values in lab.yaml that other programs read: keys, labels, packages, interfaces, snippets.

A check returns None for a valid text, otherwise (what is wrong, what to do).
"""

from __future__ import annotations

import base64
import binascii
import re
from ipaddress import IPv4Address
from urllib.parse import urlsplit

from nodisk import yamltree

Wrong = tuple[str, str] | None

# Linux takes almost anything. These are what it has in practice, and what no daemon's configuration reads as something
# else: a comma parts names there, a star stands for several.
_INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+=~-]{0,14}")
_CALENDAR = re.compile(r"[A-Za-z0-9*][A-Za-z0-9*:,./~ _+-]{0,99}")
# Debian Policy 5.6.1; a trailing "-" would tell apt to remove the package.
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+]")
_MIRROR = re.compile(r"(https?://[^\s/]+|file://)/?\S*")
# Kubernetes: a qualified name is [DNS subdomain/]name.
_PART = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
KEY_TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)


def is_interface(name: str) -> bool:
    """Whether it can be an interface's name (IFNAMSIZ is 16 with the final zero)."""
    return bool(_INTERFACE.fullmatch(name))


def is_calendar(text: str) -> bool:
    """Whether it has only what calendar events have (systemd.time(7)); ``systemd-analyze calendar`` says the rest."""
    return bool(_CALENDAR.fullmatch(text))


def is_package(name: str) -> bool:
    """Whether it is the name of a Debian package."""
    return bool(_PACKAGE.fullmatch(name))


def is_mirror(url: str) -> bool:
    """Whether apt could use it as a mirror."""
    return bool(_MIRROR.fullmatch(url))


def mirror_address(url: str) -> IPv4Address | None:
    """The address in a mirror's URL; None where it has a name, or none."""
    try:
        return IPv4Address(urlsplit(url).hostname or "")
    except ValueError:
        return None


def ssh_key(line: str) -> Wrong:
    """A public key as in ``id_ed25519.pub``: type, base64, comment."""
    if "PRIVATE KEY" in line or "PuTTY-User-Key-File" in line:
        return "this is a private key: it must never be here", "use the .pub file beside it, and make a new key"
    words = line.split()
    if "\n" in line.strip() or not words:
        return "this is not one line of a public key", "one `- ssh-ed25519 AAAA… name` a key"
    if words[0] not in KEY_TYPES:
        return _no_type(line.strip(), words)
    what = "the key itself is missing after its type" if len(words) < 2 else _blob(words[0], words[1])
    return (what, "copy the whole line of the .pub file") if what else None


_KEY = re.compile(rf"(?:^|\s)({'|'.join(map(re.escape, KEY_TYPES))})\s+AAAA\S*")
_OPTION = re.compile(
    r"(agent-forwarding|cert-authority|command|environment|expiry-time|from|(no-)?port-forwarding|permit(listen|open)"
    r"|principals|pty|restrict|tunnel|user-rc|verify-required|no-\S+)(?=[=,\s])",
    re.IGNORECASE,
)
"""sshd's authorized_keys: the options that may stand before a key."""
_ELSEWHERE = re.compile(
    r"(?:https?|file)://\S*|(?:gh|lp|github|gitlab):\S+|[~.$]?\S*/\S*|\S+\.(?:pub|keys|pem|ppk)|id_\w+"
)
"""Where a key may be found: a path, a URL, or an account as ``ssh-import-id`` takes it."""


def _no_type(line: str, words: list[str]) -> Wrong:
    """The word in the place of a key's type."""
    key = _KEY.search(line)
    if key and _OPTION.match(line):
        return (
            f"options before a key are not taken: {line[: key.start()].strip()[:40]!r}",
            f"begin the line with {key[1]}; limits for logins take a Butane snippet with /etc/ssh/sshd_config.d/*.conf",
        )
    if key:
        return f"{line[: key.start()].strip()[:40]!r} stands before the key", f"begin the line with {key[1]}"
    if words[0].startswith("AAAA"):
        return (
            "the key's type is missing",
            "copy the whole line of the .pub file; it begins with ssh-ed25519, ssh-rsa, …",
        )
    if len(words) == 1 and _ELSEWHERE.fullmatch(words[0]):
        show = f"curl {words[0]}" if "://" in words[0] else f"cat {words[0]}"
        hint = (
            "copy the line of the .pub file"
            if ":" in words[0] and "://" not in words[0]
            else f"copy what `{show}` shows"
        )
        return f"{words[0][:60]!r} is where a key is, not the key itself", hint
    return f"{words[0][:40]!r} is not a type of key that SSH still takes", f"one of {', '.join(KEY_TYPES[:3])}, …"


def _blob(kind: str, text: str) -> str:
    """What is wrong with the base64 part of a key; '' for nothing."""
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return "the key is cut off or altered (not base64)"
    # RFC 4253 section 6.6: the blob starts with the length and name of its type.
    if blob[:4] != len(kind).to_bytes(4, "big") or blob[4 : 4 + len(kind)] != kind.encode():
        return f"the key is cut off or not of the type {kind}"
    return "" if _fields(blob) else "the key is cut off"


def _fields(blob: bytes) -> int | None:
    """How many length-prefixed fields fill ``blob`` exactly; None if they don't."""
    count = position = 0
    while position < len(blob):
        length = int.from_bytes(blob[position : position + 4], "big")
        position += 4 + length
        count += 1
    return count if position == len(blob) and count > 1 else None


def label_key(key: str) -> Wrong:
    """A label's or taint's key: ``[example.org/]name``."""
    prefix, slash, name = key.rpartition("/")
    if slash and (not _SUBDOMAIN.fullmatch(prefix) or len(prefix) > 253):
        return f"{prefix!r} before the / is no DNS name", "lower-case, such as example.org/gpu"
    if not _PART.fullmatch(name):
        hint = "at most 63 letters, digits, '-', '_' and '.', a letter or digit first and last"
        return f"{name!r} is no name of a label", hint
    return None


def label_value(value: str) -> Wrong:
    """A label's or taint's value; may be empty."""
    if value and not _PART.fullmatch(value):
        hint = "at most 63 letters, digits, '-', '_' and '.', a letter or digit first and last"
        return f"{value!r} is no value of a label", hint
    return None


def snippet(text: str) -> tuple[int, str, str] | None:
    """A Butane snippet is a YAML mapping: (line of the problem counted from 1, what, what to do) where it is not."""
    try:
        root, problems = yamltree.parse(text)
    except yamltree.YamlError as error:
        problems = [error.problem]
        root = yamltree.Node(1, 1, entries=[])
    if problems:
        first = problems[0]
        return first.line, f"the snippet is not YAML: {first.message.removeprefix('not YAML: ')}", first.hint
    if root.entries is None:
        return 1, "a Butane snippet is a YAML mapping", "begin it with `variant: fcos` and `version: 1.4.0`"
    return None
