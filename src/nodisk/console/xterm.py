"""xterm.js for students' terminals: Debian's files, put together as one script that a browser can load.

Debian 13's ``libjs-xterm`` (5.3) has all that is needed: the script, and two add-ons, of which ``canvas`` is for the
console's Content-Security-Policy: without it xterm.js writes ``<style>`` elements, which are refused.

Debian 12's (3.8) has a style sheet and an add-on that work, and an ``xterm.js`` that doesn't: its bundler left
``require`` in, which no browser has. The modules themselves are in ``node-xterm``, in the format of CommonJS; each
becomes a function here, and some lines of our own look them up. It draws on a canvas by itself.

Neither is evaluated from a text, and the package's files are read where they are: a security update is served when the
server starts next.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path

PACKAGES = ("libjs-xterm", "node-xterm")
BROWSER = Path("/usr/share/javascript/xterm")
MODULES = Path("/usr/share/nodejs/xterm/lib")

_LICENCE = "// xterm.js, under the MIT licence: see /usr/share/doc/libjs-xterm/copyright. Put together by nodisk.\n"
_WHOLE = ("xterm.js", "addons/fit/xterm-addon-fit.js", "addons/canvas/xterm-addon-canvas.js")
_OLD_FIT = "addons/fit/fit"
_LOADER = """\
"use strict";
(function (modules) {
  const loaded = new Map();
  function load(name) {
    if (loaded.has(name)) return loaded.get(name).exports;
    const module = { exports: {} };
    loaded.set(name, module);
    const here = name.split("/").slice(0, -1);
    modules[name](module, module.exports, (path) => {
      const at = here.slice();
      for (const step of path.split("/")) if (step === "..") at.pop(); else if (step !== ".") at.push(step);
      return load(at.join("/"));
    });
    return module.exports;
  }
  window.Terminal = load("public/Terminal").Terminal;
  window.fit = load("addons/fit/fit").fit;
})({
"""


def is_there() -> bool:
    """Whether the packages are installed."""
    return script() is not None and style() is not None


@functools.cache
def script() -> bytes | None:
    """The script; None: the packages are missing, or not as they were in Debian 12 and 13."""
    return of(BROWSER, MODULES)


@functools.cache
def style() -> bytes | None:
    """The style sheet; None: the package is missing."""
    path = BROWSER / "xterm.css"
    return path.read_bytes() if path.is_file() else None


def of(browser: Path, modules: Path) -> bytes | None:
    """The script, of packages' files in these folders."""
    whole = [browser / name for name in _WHOLE]
    if all(path.is_file() for path in whole):
        return (_LICENCE + "\n".join(_without_map(path.read_text(encoding="utf-8")) for path in whole)).encode()
    fit = browser / f"{_OLD_FIT}.js"
    if fit.is_file() and (modules / "public/Terminal.js").is_file():
        return bundle({**_modules(modules), _OLD_FIT: fit.read_text(encoding="utf-8")})
    return None


def bundle(modules: Mapping[str, str]) -> bytes:
    """CommonJS modules, by their paths without ``.js``, as one script. Pure."""
    parts = [
        f"{json.dumps(name)}: function (module, exports, require) {{\n{_without_map(text)}\n}},\n"
        for name, text in sorted(modules.items())
    ]
    return (_LICENCE + _LOADER + "".join(parts) + "});\n").encode()


def _without_map(text: str) -> str:
    """Without the note where the source map is: nobody serves it, and a browser would ask."""
    return "\n".join(line for line in text.split("\n") if not line.startswith("//# sourceMappingURL="))


def _modules(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).with_suffix("").as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*.js"))
        if not path.name.endswith(".test.js")
    }
