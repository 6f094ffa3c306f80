"""Pages from templates: every value is escaped, a name that a template has and nobody gives is an error."""

from __future__ import annotations

import functools
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from nodisk.classes import census, trouble
from nodisk.console import (
    boot_orders,
    care_orders,
    class_making,
    class_orders,
    code_orders,
    orders,
    remark_orders,
    tell_orders,
    upgrade_orders,
    view,
    xterm,
)
from nodisk.console.words import LANGUAGES, Translate, translator
from nodisk.kube.addon_sets import State
from nodisk.records import messages
from nodisk.records.events import iso
from nodisk.upgrade.plan import Runs

HERE = Path(__file__).parent
STATIC = {
    "console.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "live.js": "text/javascript; charset=utf-8",
    "terminal.css": "text/css; charset=utf-8",
    "terminal.js": "text/javascript; charset=utf-8",
}
"""Files that pages load, and nothing else of that folder: a path can't lead elsewhere."""
OF_DEBIAN = {
    "xterm.css": (xterm.style, STATIC["terminal.css"]),
    "xterm.js": (xterm.script, STATIC["terminal.js"]),
}
"""Files of packages of this server's Debian."""
_ACTIONS = (
    orders.WORDS
    | class_orders.WORDS
    | code_orders.WORDS
    | boot_orders.WORDS
    | class_making.WORDS
    | tell_orders.WORDS
    | care_orders.WORDS
    | remark_orders.WORDS
    | remark_orders.IGNORE_WORDS
    | upgrade_orders.WORDS
)
ADDONS = {
    State.APPLIED: "",
    State.CHANGED: "It differs from what was applied, or something was refused. What differs: nodisk addons diff",
    State.ABSENT: "Nothing of it is in the cluster. To put it there: nodisk addons apply",
    State.LEFT: "Only the cluster has it. To remove it: nodisk addons remove",
    State.BROKEN: "",
}
"""What an add-on's state means for people; of one that can't be read, its problem says more."""
BUILDS = {Runs.NEW: "the current build", Runs.OLD: "another build", Runs.NOTHING: "nothing yet"}


@functools.cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    tr = translator(language)
    environment.globals |= {
        "_": tr,
        "language": language,
        "languages": LANGUAGES,
        "looks": list(view.Look),
        "signs": view.SIGNS,
        "words": view.WORDS,
        "steps": view.STEPS,
        "kinds": trouble.TITLES,
        "action_words": _ACTIONS,
        "addon_words": ADDONS,
        "build_words": BUILDS,
        "care_actions": list(care_orders.CareAction),
        "boot_actions": list(boot_orders.BootAction)[:2],
        "class_actions": class_orders.OF_STUDENTS,
        "code_actions": tuple(code_orders.CodeAction),
        "longest_message": messages.LONGEST,
        "most_days": class_orders.MOST_DAYS,
    }
    environment.filters |= {
        "age": functools.partial(_age, tr=tr),
        "amounts": census.words,
        "clock": _clock,
        "figure": _figure,
        "seconds": _seconds,
    }
    return environment


def page(template: str, language: str, **values: Any) -> str:
    """The HTML of a template."""
    return _environment(language).get_template(template).render(values)


@functools.cache
def static(name: str) -> tuple[bytes, str] | None:
    """A file's content and media type; None if there is none of that name."""
    if name in OF_DEBIAN:
        content, media_of_it = OF_DEBIAN[name][0](), OF_DEBIAN[name][1]
        return None if content is None else (content, media_of_it)
    media = STATIC.get(name)
    return None if media is None else ((HERE / "static" / name).read_bytes(), media)


def _age(seconds: float | None, *, tr: Translate) -> str:
    if seconds is None:
        return ""
    number, unit = view.age(seconds)
    return tr("less than a minute") if unit == "s" else f"{number} {tr(unit)}"


def _clock(seconds: float) -> Markup:
    """A time, as this server's clock shows it, with its form for programs."""
    local = datetime.fromtimestamp(seconds).astimezone()
    return Markup('<time datetime="{}">{}</time>').format(iso(seconds), f"{local:%Y-%m-%d %H:%M:%S}")


def _figure(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f} s"
