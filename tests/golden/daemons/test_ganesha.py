"""The NFS server's configuration, compared to the letter, and read back by the grammar of its manual."""

from __future__ import annotations

import os
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from nodisk.classes import names
from nodisk.classes.plan import check_name
from nodisk.plan.daemons_ganesha import Export, ganesha
from nodisk.spec.load import parse
from nodisk.state import State
from nodisk.storage import volumes
from nodisk.storage.disks import Disks
from nodisk.storage.volumes import Volume
from nodisk.values import Name

HERE = Path(__file__).parent
LAB = """
name: room
network: {subnet: 10.77.0.0/24, server: 10.77.0.1}
machines:
  - {name: cp1, mac: 52:54:00:77:00:0b, address: 10.77.0.11, role: control-plane}
  - {name: w1, mac: 52:54:00:77:00:15, address: 10.77.0.21}
"""


def test_configuration() -> None:
    base = Path("/var/lib/nodisk/labs/room/storage")
    exports = [Export(number, base / "mounted" / f"k8s-jan-{number}", f"{number:032x}") for number in (1, 7)]
    lab = parse(LAB, file=Path("lab.yaml"))
    text = ganesha(lab, exports, root=base / "root", recovery=base / "recovery")
    golden = HERE / "ganesha.txt"
    if os.environ.get("NODISK_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


# ganesha-config(8): blocks of `key = value;`, a value in double quotes with backslash escapes, or a bare word.
_TOKEN = re.compile(r'\s*(?:("(?:[^"\\\n]|\\.)*")|([{};=,])|([^\s{};=,"\'#]+))')


def exports(text: str) -> list[dict[str, str]]:
    """The keys of every EXPORT block; raises where the grammar is broken."""
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match, f"no token at {text[at : at + 40]!r}"
        tokens.append(match[0].strip())
        at = match.end()
    found, blocks, key, value = list[dict[str, str]](), list[str](), "", list[str]()
    for token in tokens:
        if token == "{":
            blocks.append(value.pop())
            if blocks == ["EXPORT"]:
                found.append({})
        elif token == "}":
            blocks.pop()
        elif token == "=":
            key = value.pop()
        elif token == ";":
            if blocks == ["EXPORT"]:
                found[-1][key] = "".join(value).removeprefix('"').removesuffix('"')
            value = []
        else:
            value.append(token)
    assert not blocks
    return found


CLASSES = st.from_regex(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?", fullmatch=True).filter(
    lambda name: not names.reserved(name)
)
LABELS = st.text(max_size=60).map(lambda name: names.student_label(name, name, ()))
LABS = st.from_regex(Name.schema["pattern"].strip("^$"), fullmatch=True)


@given(LABS, st.lists(st.tuples(CLASSES, LABELS), max_size=4))
def test_every_accepted_name_comes_back(room: str, students: list[tuple[str, str]]) -> None:
    """Also the longest, the ones of digits and hyphens, and those that are words of the configuration."""
    state = State().lab(str(Name.parse(room)))
    disks, lab = Disks(state), parse(LAB.replace("name: room", f'name: "{room}"'), file=Path("lab.yaml"))
    made = []
    for number, (class_name, label) in enumerate(students, 1):
        name = f"{check_name(class_name)}-{label}-{number}"
        path = f"{number:032x}"
        volume = Volume(number=number, name=name, class_name=class_name, key=label, size=volumes.MIB, path=path)
        made.append(Export(number, disks.place(volume), path))
    text = ganesha(lab, made, root=disks.root, recovery=disks.folder / "recovery")
    read = [(int(one["Export_Id"]), Path(one["Path"]), one["Pseudo"]) for one in exports(text)]
    assert read == [(0, disks.root, "/"), *((one.number, one.folder, f"/{one.path}") for one in made)]
