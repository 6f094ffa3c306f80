"""The menu in lab.yaml: what is refused, by line, and that whatever is taken means nothing to iPXE but itself."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.spec.labs import TEN_LINES

from nodisk.spec import menu
from nodisk.spec.load import examine, parse
from nodisk.spec.model import Lab

ENTRIES = """\
menu:
  default: debian
  timeout: 10
  entries:
    - {name: debian, title: "Debian's installer", kernel: http://10.77.0.9/linux, arguments: a=b -- c}
    - {name: windows, url: "http://10.77.0.9/win.ipxe?a=1&b=2", password: true}
roles:
  worker: {menu: {default: disk}}
"""


def problems(text: str) -> list[str]:
    _, found = examine(TEN_LINES + text, file="lab.yaml")
    return [f"{problem.path}: {problem.message}" for problem in found]


def test_a_machine_has_what_its_role_and_the_lab_leave_open() -> None:
    lab = parse(TEN_LINES + ENTRIES, file="lab.yaml")
    found = {str(machine.name): menu.choice(lab, machine) for machine in lab.machines}
    assert found["cp1"] == menu.Choice("debian", 10)
    assert found["w1"] == menu.Choice("disk", 10)
    own = TEN_LINES.replace("name: w1\n", "name: w1\n    menu: {timeout: 0, default: lab}\n")
    assert own != TEN_LINES
    lab = parse(own + ENTRIES, file="lab.yaml")
    assert menu.choice(lab, lab.machines[1]) == menu.Choice("lab", 0), "0 is a time-out too"
    assert menu.names(lab) == ("lab", "disk", "debian")


def test_without_a_menu_the_lab_starts_at_once() -> None:
    lab = parse(TEN_LINES, file="lab.yaml")
    assert {menu.choice(lab, machine) for machine in lab.machines} == {menu.Choice("lab", 0)}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("menu: {default: windows}", "menu.default: the menu has no entry 'windows'"),
        ("menu: {default: shell}", "menu.default: shell asks for a password: it can't start by itself"),
        ("menu: {default: reboot}", "menu.default: reboot can't be the default"),
        ("roles: {worker: {menu: {default: x}}}", "roles.worker.menu.default: the menu has no entry 'x'"),
        (
            "menu: {entries: [{name: disk, url: http://a/b}]}",
            "menu.entries[0].name: every menu has an entry disk already",
        ),
        (
            "menu: {entries: [{name: a, url: http://a/b}, {name: a, url: http://a/b}]}",
            "menu.entries[1].name: the entry a is there twice",
        ),
        ("menu: {entries: [{name: a}]}", "menu.entries[0]: an entry has either a `url` or a `kernel`"),
        (
            "menu: {entries: [{name: a, url: http://a/b, initrd: http://a/i}]}",
            "menu.entries[0].initrd: `initrd` means nothing without `kernel`",
        ),
        ("menu: {entries: [{name: a, url: ftp://a/b}]}", "menu.entries[0].url: 'ftp://a/b' is not a URL that iPXE"),
        ("menu: {entries: [{name: a, url: http://u:p@a/b}]}", "menu.entries[0].url: 'http://u:p@a/b' is not a URL"),
        ('menu: {entries: [{name: a, url: "http://a/${x}"}]}', "menu.entries[0].url: 'http://a/${x}' is not a URL"),
        (
            "menu: {entries: [{name: a, title: 'x && shell', url: http://a/b}]}",
            "menu.entries[0].title: 'x && shell' can't stand in a menu",
        ),
        (
            "menu: {entries: [{name: a, kernel: http://a/b, arguments: 'quiet || shell'}]}",
            "menu.entries[0].arguments: iPXE can't be given the argument '||'",
        ),
        (
            "menu: {entries: [{name: a, url: http://a/b, password: true}], default: a}",
            "menu.default: a asks for a password: it can't start by itself",
        ),
        ("menu: {timeout: -1}", "menu.timeout:"),
        ("menu: {timeout: 10s}", "menu.timeout:"),
    ],
)
def test_what_is_wrong(text: str, problem: str) -> None:
    found = problems(text + "\n")
    assert len(found) == 1, found
    assert found[0].startswith(problem)


def test_another_tools_words_are_understood() -> None:
    _, found = examine(TEN_LINES + "menu: {items: []}\n", file="lab.yaml")
    assert [problem for problem in found if "entries" in problem.hint + problem.message], found


TEXTS = st.text(st.characters(min_codepoint=9, max_codepoint=126), max_size=40) | st.text(
    st.sampled_from("a ;|&#$\\{}'\"`-\n\r=:/.")
)


def ipxe_tokens(line: str) -> list[list[str]]:
    """The commands of one line of a script as iPXE splits it, by what ipxe.org says of scripts."""
    commands: list[list[str]] = [[]]
    for word in line.split():
        if word.startswith("#"):
            break
        if word in ("||", "&&", ";"):
            commands.append([])
        else:
            commands[-1].append(word)
    return commands


@given(TEXTS, TEXTS, TEXTS)
def test_whatever_is_taken_is_one_command_of_ipxes(title: str, url: str, arguments: str) -> None:
    entry = {"name": "a", "title": title or None, "kernel": "http://10.77.0.9/" + url, "arguments": arguments}
    lab = Lab.model_validate(
        {
            "name": "room",
            "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
            "menu": {"entries": [entry]},
            "machines": [{"name": "cp1", "mac": "52:54:00:77:00:0b", "address": "10.77.0.11", "role": "control-plane"}],
        }
    )
    wrong = {wrong.path[-1] for wrong in menu.problems(lab)}
    one = lab.menu.entries[0]
    taken = {
        "title": menu.title(one),
        "kernel": one.kernel or "",
        "arguments": " ".join(one.arguments.split()),
    }
    for key, text in taken.items():
        if key in wrong:
            continue
        assert text.isascii()
        assert text.isprintable()
        assert ipxe_tokens(f"echo {text} .") == [["echo", *text.split(), "."]]
        assert not re.search(r"[$\\]", text)
    if "kernel" not in wrong:
        assert len(taken["kernel"].split()) == 1
