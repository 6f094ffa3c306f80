"""Port numbers are written in one place."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import nodisk
from nodisk import node, ports

HERE = Path(nodisk.__file__).parent
NUMBERS = {value for name, value in vars(ports).items() if name.isupper() and isinstance(value, int)}
# 80 is also a width, a percentage and the port of many a Service; 53 is also an option of DHCP.
TELLING = NUMBERS - {ports.HTTP, ports.DNS}
_WRITTEN = re.compile(rf"(?:^|:|\bport )({'|'.join(map(str, sorted(NUMBERS)))})(?:$|(?=[/\s]))")


def literals(text: str) -> Iterator[str]:
    """Port numbers in a module's code, each with its line; what docstrings say is not code."""
    tree = ast.parse(text)
    docstrings = {id(one.value) for one in ast.walk(tree) if isinstance(one, ast.Expr)}
    for one in ast.walk(tree):
        if not isinstance(one, ast.Constant) or id(one) in docstrings:
            continue
        number = type(one.value) is int and one.value in TELLING
        if number or (isinstance(one.value, str) and _WRITTEN.search(one.value)):
            yield f"{one.lineno}: {one.value!r}"


@pytest.mark.parametrize("text", ["a = 6443", "f(port=2049)", 'f"https://{a}:6443"', 'f"{a}:80/"', 'a == "5000"'])
def test_a_literal_is_found(text: str) -> None:
    assert list(literals(text))


@pytest.mark.parametrize("text", ['"""On port 6443."""', "a[:80]", '"16443"', "a = ports.API", '"12:53:07"'])
def test_what_is_none_passes(text: str) -> None:
    assert not list(literals(text))


def test_no_module_writes_a_port() -> None:
    modules = [path for path in HERE.rglob("*.py") if path != Path(ports.__file__)]
    found = {str(path.relative_to(HERE)): list(literals(path.read_text())) for path in modules}
    assert not {path: lines for path, lines in found.items() if lines}, "name it in nodisk.ports"


def test_the_machines_script_enrols_at_the_servers_port() -> None:
    script = (node.IMAGE / "usr/lib/nodisk/enrol").read_text()
    assert re.findall(r"\$SERVER:(\d+)", script) == [str(ports.ENROL)]
