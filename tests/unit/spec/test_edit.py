"""Edits of lab.yaml: what was asked and nothing else, in whatever way people write the file."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodisk.spec import edit
from nodisk.spec.load import parse
from nodisk.spec.model import Lab, Machine
from nodisk.yamltree import YamlError

ROOT = Path(__file__).parents[3]
NEW = {"name": "n1", "mac": "52:54:00:aa:00:01", "address": "10.77.0.201"}
TWO = [NEW, {"name": "7", "mac": "52:54:00:aa:00:02", "address": "10.77.0.202", "role": "worker", "seat": "2,3"}]


def read(text: str) -> Lab:
    return parse(text, file="lab.yaml")


def made(machine: dict[str, str]) -> Machine:
    return Machine.model_validate(machine)


@dataclass(frozen=True)
class Written:
    """A lab.yaml, and how its machines are written in it."""

    text: str
    keep: tuple[str, ...]
    """Comments that belong to no entry."""


WORDS = st.text(st.sampled_from("aż#:-{}[]'\"\t &*!|>,łé漢🙂 x"), max_size=12)


@st.composite
def labs(draw: st.DrawFn) -> Written:
    """A valid lab in block or flow style with comments, quotes, indentation and ends of lines of any kind."""
    keep: list[str] = []

    def note(indent: str = "") -> list[str]:
        """A comment outside of every entry, an empty line, or nothing."""
        kind = draw(st.sampled_from(["", "", "comment", "empty"]))
        if kind == "comment":
            keep.append(f"# keep{len(keep)} {draw(WORDS)}")
            return [indent + keep[-1]]
        return [""] if kind else []

    def tail() -> str:
        return draw(st.sampled_from(["", "", "", " # inside", "\t# inside {- x", "  "]))

    def quoted(value: str) -> str:
        mark = draw(st.sampled_from(["", "'", '"']))
        return f"{mark}{value}{mark}"

    count = draw(st.integers(2, 5))
    style = draw(st.sampled_from(["block", "block", "brackets", "line", "lines", "json"]))
    indent = " " * draw(st.integers(0, 4))
    gap = " " * draw(st.integers(1, 3))
    machines = []
    for number in range(count):
        machine: dict[str, str] = {
            "name": f"m{number}",
            "mac": f"52:54:00:00:00:{number + 16:02x}",
            "address": f"10.77.0.{number + 11}",
            "role": "control-plane" if number < 2 else "worker",
        }
        order = draw(st.permutations(sorted(machine)))
        machines.append({key: machine[key] for key in order})

    def brackets(machine: dict[str, str]) -> str:
        broken = draw(st.sampled_from([" ", " ", f"\n{indent}    ", f" # inside\n{indent}      "]))
        pairs = [f"{key}: {quoted(value)}" for key, value in machine.items()]
        return "{" + f",{broken}".join(pairs) + draw(st.sampled_from(["", ", labels: {a: b}", ","])) + "}"

    lines: list[str] = []
    if style == "block":
        lines += ["machines:" + tail(), *note(indent)]
        for machine in machines:
            first = True
            inner = indent + " " + gap
            if draw(st.booleans()):
                lines += [f"{indent}-{tail()}".replace("\t", " ")]
                first = False
            for key, value in machine.items():
                lines += [(f"{indent}-{gap}" if first else inner) + f"{key}: {quoted(value)}{tail()}"]
                first = False
                lines += draw(st.sampled_from([[], [], [f"{inner}# inside"], [""]])) if key != list(machine)[-1] else []
            lines += draw(
                st.sampled_from(
                    [
                        [],
                        [f"{inner}labels: {{a: b}}"],
                        [f"{inner}labels:", f"{inner}  a: b", f"{inner}  # inside"],
                        [f"{inner}butane: |", f"{inner}  variant: flatcar", f"{inner}  version: 1.0.0"],
                        [f"{inner}memory:"],
                        [f"{inner}# memory: 2GiB inside"],
                    ]
                )
            )
            lines += note(indent)
    elif style == "brackets":
        lines += ["machines:" + tail()]
        for machine in machines:
            lines += [*note(indent), f"{indent}-{gap}{brackets(machine)}{tail()}"]
    elif style == "line":
        lines += ["machines: [" + ", ".join(map(brackets, machines)) + draw(st.sampled_from(["", ","])) + "]" + tail()]
    elif style == "lines":
        inner = indent + "  "
        lines += ["machines: ["]
        last = draw(st.sampled_from(["", ",", " # beside", ", # beside"]))
        lines += [f"{inner}{brackets(machine)}," for machine in machines[:-1]]
        lines += [f"{inner}{brackets(machines[-1])}{last}", f"{indent} ]"]
    else:
        lines += ['"machines": ' + json.dumps(machines, indent=draw(st.sampled_from([None, 2])))]
    before = ["name: room", *note(), "network: {subnet: 10.77.0.0/24, server: 10.77.0.1}" + tail(), *note()]
    after = [*note(), *draw(st.sampled_from([[], ["os:", "  packages:", "  - htop"], ["..."]]))]
    text = "\n".join([*before, *lines, *after]) + draw(st.sampled_from(["\n", "", "\n\n"]))
    return Written(text.replace("\n", draw(st.sampled_from(["\n", "\r\n"]))), tuple(keep))


def shared(one: str, other: str) -> int:
    """Characters at the start that two texts share."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def outside(old: str, new: str) -> int:
    """Characters at the start and the end that two texts share."""
    start = shared(old, new)
    end = shared(old[start:][::-1], new[start:][::-1])
    return start + end


def inserted(old: str, new: str) -> bool:
    """Whether ``new`` is ``old`` with one piece put in, or a comma and, further on, another piece."""
    if outside(old, new) == len(old):
        return True
    comma = shared(old, new)
    return new[comma] == "," and outside(old, new[:comma] + new[comma + 1 :]) == len(old)


@settings(max_examples=400)
@given(labs(), st.sampled_from([[NEW], TWO]))
def test_added_machines_and_nothing_else(written: Written, added: list[dict[str, str]]) -> None:
    old = read(written.text)
    text = edit.add(written.text, added)
    assert inserted(written.text, text)
    expected = (*old.machines, *map(made, added))
    assert read(text) == old.model_copy(update={"machines": expected})
    assert text.count("\n") - text.count("\r\n") in (0, text.count("\n")), "ends of lines are all of one kind"


@settings(max_examples=400)
@given(labs(), st.data())
def test_a_removed_machine_and_nothing_else(written: Written, data: st.DataObject) -> None:
    old = read(written.text)
    index = data.draw(st.integers(1, len(old.machines) - 1))
    text = edit.remove(written.text, index)
    assert outside(written.text, text) == len(text)
    assert read(text) == old.model_copy(update={"machines": old.machines[:index] + old.machines[index + 1 :]})
    for comment in written.keep:
        assert comment in text


@settings(max_examples=300)
@given(labs(), st.data(), st.sampled_from([("name", "n7"), ("name", "7"), ("mac", "52:54:00:aa:00:01")]))
def test_a_replaced_value_and_nothing_else(written: Written, data: st.DataObject, change: tuple[str, str]) -> None:
    key, value = change
    old = read(written.text)
    index = data.draw(st.integers(0, len(old.machines) - 1))
    text = edit.replace(written.text, index, key, value)
    machine = made({**old.machines[index].model_dump(mode="json", include={"name", "mac", "address"}), key: value})
    machine = old.machines[index].model_copy(update={key: getattr(machine, key)})
    machines = (*old.machines[:index], machine, *old.machines[index + 1 :])
    assert read(text) == old.model_copy(update={"machines": machines})
    written_now = str(getattr(old.machines[index], key))
    assert outside(written.text, text) >= len(written.text) - len(written_now)
    for comment in written.keep:
        assert comment in text


@settings(max_examples=150)
@given(labs())
def test_what_is_added_can_be_removed_again(written: Written) -> None:
    text = edit.add(written.text, [NEW])
    back = edit.remove(text, len(read(text).machines) - 1)
    assert read(back) == read(written.text)
    # In brackets the comma before it may stay, as one may after a last item; so may the end of the last line.
    assert len(back) - len(written.text) in (0, 1, 2)


BLOCK = """\
name: room
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
machines:
  # The teacher's.
  - name: cp1
    mac: "52:54:00:00:00:01"   # on its label
    address: 10.77.0.11
    role: control-plane

  - name: w1
    mac: 52:54:00:00:00:02
    address: 10.77.0.12
    # memory: 2GiB

# The end.
"""


def test_an_entry_looks_like_the_last_one() -> None:
    assert edit.add(BLOCK, TWO) == BLOCK.replace(
        "    # memory: 2GiB\n",
        """\
    # memory: 2GiB

  - name: n1
    mac: "52:54:00:aa:00:01"
    address: 10.77.0.201

  - name: "7"
    mac: "52:54:00:aa:00:02"
    address: 10.77.0.202
    role: worker
    seat: "2,3"
""",
    )


def test_removing_takes_the_comments_inside_an_entry_only() -> None:
    text = edit.remove(BLOCK, 1)
    assert text.endswith("    role: control-plane\n\n\n# The end.\n")


@pytest.mark.parametrize("name", ["virtual", "room"])
def test_the_examples(name: str) -> None:
    old = (ROOT / "examples" / f"{name}.yaml").read_text()
    machine = {**NEW, "address": "192.168.10.201" if name == "room" else "10.77.0.201"}
    new = edit.add(old, [machine])
    assert new.startswith(old)
    assert new.removeprefix(old) == f'  - {{name: n1, mac: "52:54:00:aa:00:01", address: {machine["address"]}}}\n'
    assert edit.remove(new, len(read(new).machines) - 1) == old


ANCHORS = """\
name: room
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
machines:
- {name: &first cp1, mac: 52:54:00:00:00:01, address: 10.77.0.11, role: control-plane}
- {name: w1, mac: 52:54:00:00:00:02, address: 10.77.0.12, labels: {near: *first}}
"""


def test_an_anchor_is_left_to_a_person() -> None:
    with pytest.raises(YamlError) as refused:
        edit.replace(ANCHORS, 0, "name", "cp2")
    assert (refused.value.problem.line, refused.value.problem.hint) == (4, "change it in an editor: `name: cp2`")


def test_a_comment_between_two_entries_in_brackets_is_left_to_a_person() -> None:
    text = """\
name: room
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
machines: [
  {name: cp1, mac: 52:54:00:00:00:01, address: 10.77.0.11, role: control-plane},
  {name: w1, mac: 52:54:00:00:00:02, address: 10.77.0.12}, # the window's
  {name: w2, mac: 52:54:00:00:00:03, address: 10.77.0.13}]
"""
    with pytest.raises(YamlError) as refused:
        edit.remove(text, 2)
    assert refused.value.problem.line == 6
    assert "the window" not in edit.remove(text, 1), "it has lines of its own, and the comment is on them"
