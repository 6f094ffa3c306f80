"""What the settings of a machine's power must agree on. Pure: settings in, problems out; ``spec.rules`` places them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from nodisk.spec.model_power import PowerKind, PowerSettings

_NEEDS: dict[PowerKind, tuple[str, ...]] = {
    PowerKind.WAKE_ON_LAN: (),
    PowerKind.IPMI: ("address", "user"),
    PowerKind.REDFISH: ("url", "user"),
    PowerKind.AMT: ("url", "user"),
    PowerKind.PLUG: ("on_url", "off_url", "status_url"),
}
_MAY: dict[PowerKind, tuple[str, ...]] = {
    PowerKind.WAKE_ON_LAN: (),
    PowerKind.IPMI: ("port",),
    PowerKind.REDFISH: ("system", "certificate", "ca"),
    PowerKind.AMT: ("certificate", "ca"),
    PowerKind.PLUG: ("user", "certificate", "ca", "status_key"),
}
_EXAMPLES = {
    "address": "`address: 10.77.1.5`, the BMC's",
    "user": "`user: admin`; its password goes to `nodisk power login NAME`",
    "url": "`url: https://10.77.1.5`",
    "on_url": "`on_url: http://10.77.0.60/relay/0?turn=on`",
    "off_url": "`off_url: http://10.77.0.60/relay/0?turn=off`",
    "status_url": "`status_url: http://10.77.0.60/relay/0`; without it nobody can know whether it is on",
}
URLS = ("url", "on_url", "off_url", "status_url")
_TEXTS = ("user", "system", "status_key")
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Wrong:
    """A problem of one setting."""

    key: str
    what: str
    hint: str
    at: str
    """The key to point at: where ``key`` is missing, ``kind``, which asks for it."""
    is_key: bool = False
    """The key itself is meant, not its value."""


def problems(power: PowerSettings) -> Iterator[Wrong]:
    """Everything that is wrong with settings whose single values are right."""
    kind = power.kind
    for key in _NEEDS[kind]:
        if getattr(power, key) is None:
            yield Wrong(key, f"kind: {kind} needs `{key}`", f"add {_EXAMPLES[key]}", at="kind")
    for key in PowerSettings.model_fields:
        if key == "kind" or key not in power.model_fields_set:
            continue
        if key not in (*_NEEDS[kind], *_MAY[kind]):
            yield Wrong(key, f"`{key}` means nothing with kind: {kind}", "remove it", at=key, is_key=True)
    for key in URLS:
        if key in _NEEDS[kind] and (url := getattr(power, key)) is not None:
            yield from _url(kind, key, url)
    for key in _TEXTS:
        value = getattr(power, key)
        if value is not None and not (value and len(value) <= 128 and value.isprintable()):
            yield Wrong(
                key, f"{value[:40]!r} can't be a {key.replace('_', ' ')}", "1 to 128 printable characters", at=key
            )
    if power.certificate is not None and power.ca is not None:
        what = "`certificate` and `ca` are two ways to know the other side"
        yield Wrong("ca", what, "keep one of them", at="ca", is_key=True)


def _url(kind: PowerKind, key: str, url: str) -> Iterator[Wrong]:
    parts = split(url)
    if parts is None:
        yield Wrong(key, f"{url[:80]!r} is not a URL", "it starts with http:// or https://", at=key)
    elif parts.username is not None or parts.password is not None:
        hint = "write `user: …` beside it, and give the password to `nodisk power login NAME`"
        yield Wrong(key, "a URL with an account in it", hint, at=key)
    elif kind is PowerKind.REDFISH and parts.scheme != "https":
        what = "Redfish over plain HTTP would show the password to everybody on the wire"
        yield Wrong(key, what, "https://, with `certificate:` if it signed its own", at=key)


def split(url: str) -> SplitResult | None:
    """The parts of an http or https URL that can be asked for; None if it is none."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if sound and url.isascii() and url.isprintable() and " " not in url and len(url) <= _LONGEST else None
