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
# 80 is also a width, a percentage and the port of many a Service; 53 is also an option of DHCP; 69 is small.
TELLING = NUMBERS - {ports.HTTP, ports.DNS, ports.TFTP}
_ANY = "|".join(map(str, sorted(NUMBERS)))
_WRITTEN = re.compile(rf"(?:^|:|\bport )({_ANY})(?:$|(?=[/\s]))|\b({_ANY})/(?:tcp|udp)\b")
# In shell scripts and units: what follows an address, also a number that has left ports.py; and what can be no other.
_IN_SCRIPT = re.compile(
    rf"(?<=:)\d{{2,5}}(?!\w)|(?<!\w)(?:{'|'.join(map(str, sorted(TELLING)))})(?!\w)|(?<=\bport )\d+"
)

SCRIPTS = {"image/usr/lib/nodisk/enrol": [ports.ENROL], "image/usr/lib/nodisk/policies": [ports.ENROL]}
"""The ports that the machines' own files name, in their order. All others get theirs from what the server plans."""


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


@pytest.mark.parametrize(
    "text", ["a = 6443", "f(port=2049)", 'f"https://{a}:6443"', 'f"{a}:80/"', 'a == "5000"', 'a = "HTTP (80/tcp)"']
)
def test_a_literal_is_found(text: str) -> None:
    assert list(literals(text))


@pytest.mark.parametrize("text", ['"""On port 6443."""', "a[:80]", '"16443"', "a = ports.API", '"12:53:07"'])
def test_what_is_none_passes(text: str) -> None:
    assert not list(literals(text))


def test_no_module_writes_a_port() -> None:
    modules = [path for path in HERE.rglob("*.py") if path != Path(ports.__file__)]
    found = {str(path.relative_to(HERE)): list(literals(path.read_text())) for path in modules}
    assert not {path: lines for path, lines in found.items() if lines}, "name it in nodisk.ports"


def in_script(text: str) -> list[int]:
    """Port numbers in a shell script or unit, in their order."""
    return [int(number) for number in _IN_SCRIPT.findall(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('"https://$SERVER:6444/enrol"', [6444]),
        ("http://$SERVER:81", [81]),  # of no port that is known
        ("exec kubelet --port=10250", [10250]),
        ("ListenStream=6448", [6448]),
        ("nc $SERVER 2049", [2049]),
        ("on port 80", [80]),
        ("12:5, ${a:1}, 16443, nr_2379x, cut -c 1-64", []),
    ],
)
def test_ports_of_a_script(text: str, found: list[int]) -> None:
    assert in_script(text) == found


def test_the_machines_files_name_these_ports() -> None:
    folders = (node.IMAGE, node.DRACUT)
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    files.append(node.INVENTORY)
    found = {str(path.relative_to(node.HERE)): in_script(path.read_text(encoding="utf-8")) for path in files}
    assert {path: numbers for path, numbers in found.items() if numbers} == SCRIPTS
