"""GRUB's scripts, read by GRUB's own parser (``grub-script-check``) and run by GRUB itself as a program (``grub-emu``).

What needs firmware (``linux``, the network) is put in by functions of GRUB's own language.
"""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodisk import run
from nodisk.plan import grub
from nodisk.plan.facts import AssetRef, Facts, ImageFacts, ReleaseFacts
from nodisk.spec.model import Lab, Machine
from nodisk.values import KubeVersion, Mac

pytestmark = pytest.mark.interop

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
ADDRESSES = st.integers(2, 254).map(lambda number: f"10.77.0.{number}")
PATIENCE = 60.0
"""Seconds after which a GRUB that does not end is ended; it takes 0.05."""
real = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


def lab_of(name: str, machine: str, address: str) -> Lab:
    one = {"name": machine, "mac": "52:54:00:77:00:0b", "address": address, "role": "control-plane"}
    network = {"subnet": "10.77.0.0/24", "server": "10.77.0.1"}
    return Lab.model_validate({"name": name, "network": network, "machines": [one]})


def facts() -> Facts:
    asset = AssetRef("vmlinuz", "a" * 64, 100 << 20)
    image = ImageFacts(asset, asset, asset, "6.12", 300 << 20, "1.7.24")
    return Facts("CA\n", image, ReleaseFacts(KubeVersion(1, 36, 1), "upstream", (), asset))


def check(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """GRUB's word on a script."""
    file = folder / "grub.cfg"
    file.write_text(script)
    return run.run(["grub-script-check", "--verbose", file], check=False)


def machine_script(lab: Lab, machine: Machine) -> str:
    return grub.machine_script(lab, facts(), machine, "A-_z" * 10)


@real
@given(NAMES, NAMES, ADDRESSES)
def test_grub_reads_the_scripts_of_every_lab(tmp_path: Path, name: str, machine: str, address: str) -> None:
    lab = lab_of(name, machine, address)
    for script in (
        grub.entry_script(lab),
        machine_script(lab, lab.machines[0]),
        grub.address_script(lab, lab.machines[0]),
        grub.address_in_use_script(lab, lab.machines[0], Mac.parse("020000000001")),
        grub.unknown_script(lab, Mac.parse("020000000001")),
        grub.disk_script(lab, lab.machines[0]),
    ):
        done = check(script, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr


@real
@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs"))))
def test_grub_reads_every_quoted_word(tmp_path: Path, text: str) -> None:
    done = check(f"if echo {grub.quoted(text)}; then true; fi\n", tmp_path)
    assert done.returncode == 0, (text, done.stdout + done.stderr)


def test_a_script_that_breaks_off_is_nothing_to_grub(tmp_path: Path) -> None:
    lab = lab_of("room", "cp1", "10.77.0.11")
    script = machine_script(lab, lab.machines[0])
    whole = script.removesuffix("nodisk_boot\n")
    begin, end = whole.index("{") + 1, whole.rindex("}")
    lines = (place for place in range(begin, end) if whole[place - 1] == "\n")
    for cut in (*range(begin, end, 97), *lines):
        assert check(whole[:cut], tmp_path).returncode != 0, whole[:cut]
    assert check(script, tmp_path).returncode == 0


def run_grub(script: str, folder: Path) -> str:
    """What GRUB prints when it runs a script; it is ended after the last line, which must be reached."""
    (folder / "grub.cfg").write_text(f"{script}\necho the end\nexit\n")
    pid, terminal = pty.fork()
    if pid == 0:
        words = ["grub-emu", "--directory", str(folder), "--root=host"]
        environment = {**os.environ, "TERM": "vt100"}
        os.execvpe(words[0], words, environment)  # noqa: S606 - there is no shell to start it with
    said = b""
    ender = threading.Timer(PATIENCE, os.kill, (pid, signal.SIGKILL))
    ender.start()
    try:
        while part := os.read(terminal, 65536):
            said += part
    except OSError:  # how a terminal says that nobody is there any more
        pass
    finally:
        ender.cancel()
        os.close(terminal)
        os.waitpid(pid, 0)
    text = re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>])", "\n", said.decode())
    assert "the end" in text, text
    return text


def together(said: str) -> str:
    """Without blanks and ends of lines: GRUB breaks its lines at 80 columns, also within a word."""
    return "".join(said.split())


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1), min_size=30, max_size=30))
def test_grub_takes_a_quoted_word_for_what_it_is(tmp_path: Path, words: list[str]) -> None:
    said = run_grub("".join(f"echo {grub.quoted(f'<{word}>')}\n" for word in words), tmp_path)
    for word in words:
        assert f"<{word}>" in together(said)


def in_place_of_firmware(script: str, *, linux: str, initrd: str) -> str:
    """The script with functions for what needs firmware, and without pauses."""
    for old, new in (("if linux ", "if try_linux "), ("if initrd ", "if try_initrd "), ("sleep 5", "true")):
        assert old in script
        script = script.replace(old, new)
    script = re.sub(r"\bboot$", "echo BOOT", script, flags=re.MULTILINE)
    return (
        f'function try_linux {{ echo "LINUX $1 $2 $3"; {linux}; }}\nfunction try_initrd {{ echo INITRD; {initrd}; }}\n'
        + script
    )


@pytest.mark.parametrize(
    ("linux", "initrd", "boots"), [("true", "true", 5), ("false", "true", 0), ("true", "false", 0)]
)
def test_what_does_not_come_whole_is_not_booted_and_fetched_again(
    tmp_path: Path, linux: str, initrd: str, boots: int
) -> None:
    """``boot`` returns where it fails, so it counts as a try as well."""
    lab = lab_of("room", "cp1", "10.77.0.11")
    script = machine_script(lab, lab.machines[0])
    said = run_grub(in_place_of_firmware(script, linux=linux, initrd=initrd), tmp_path)
    path = f"(http,10.77.0.1)/assets/{'a' * 64}/vmlinuz"
    assert together(said).count(f"LINUX{path}console=tty0console=ttyS0,115200") == 5
    assert said.count("BOOT\r") == boots
    assert "did not come whole (try 5)" in said


def test_grub_runs_nothing_of_a_script_that_breaks_off(tmp_path: Path) -> None:
    lab = lab_of("room", "cp1", "10.77.0.11")
    script = in_place_of_firmware(machine_script(lab, lab.machines[0]), linux="true", initrd="true")
    own = script.index("function nodisk_boot")
    assert "LINUX" in run_grub(script, tmp_path)
    for cut in range(own, script.rindex("}"), 131):
        (tmp_path / "cut.cfg").write_text(script[:cut])
        said = run_grub(f"source (host){tmp_path}/cut.cfg", tmp_path)
        assert not {"LINUX", "INITRD", "BOOT"} & set(said.split()), said


def test_grub_asks_until_a_script_came(tmp_path: Path) -> None:
    """The entry script: the first answers are none, broken off, and one that gave up."""
    lab = lab_of("room", "cp1", "10.77.0.11")
    answers = {2: "function nodisk_boot {\n", 3: "echo GAVE UP\n", 4: "set nodisk_done=yes\n"}
    for number, text in answers.items():
        (tmp_path / f"{number}.cfg").write_text(text)
    script = grub.entry_script(lab).replace("'(http,10.77.0.1)/grub/'", f"'(host){tmp_path}/'")
    # The card's variable is GRUB's own. The next answer has the next number, and no time passes.
    script = script.replace("$nodisk_mac", "$mac").replace("?boot=$nodisk_boot", "")
    script = script.replace("sleep 5", 'set mac="$next"\nset next="$after"\nset after="$last"')
    said = run_grub(f"set mac=1\nset next=2\nset after=3\nset last=4\n{script}", tmp_path)
    assert said.count("no boot from 10.77.0.1; again in 5 seconds") == 3
    assert said.count("GAVE UP") == 1


@real
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
def test_what_a_machine_says_of_itself_fits_into_a_url(tmp_path: Path, text: str) -> None:
    script = grub.unknown_script(lab_of("room", "cp1", "10.77.0.11"), Mac.parse("020000000001"))
    function = script[script.index("function nodisk_plain") : script.index("menuentry")]
    said = run_grub(f'{function}nodisk_plain {grub.quoted(text)}\necho "<$nodisk_word>"', tmp_path)
    assert f"<{re.sub(r'[^A-Za-z0-9._+-]', '+', text)}>" in said
