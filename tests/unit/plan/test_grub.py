"""GRUB's scripts, for machines with Secure Boot. What GRUB's own parser says of them is in ``tests/interop/plan``."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.errors import NodiskError
from nodisk.plan import boot, grub
from nodisk.plan.facts import AssetRef, Facts, ImageFacts, ReleaseFacts
from nodisk.spec.model import Lab
from nodisk.values import KubeVersion, Mac

LAB = Lab.model_validate(
    {
        "name": "room",
        "network": {"subnet": "10.77.0.0/24", "server": "10.77.0.1"},
        "secure_boot": True,
        "machines": [{"name": "cp1", "mac": "52:54:00:77:00:0b", "address": "10.77.0.11", "role": "control-plane"}],
    }
)
CP = LAB.machines[0]
NONCE = "n" * 43


def facts(name: str = "vmlinuz") -> Facts:
    kernel, other = AssetRef(name, "a" * 64, 100 << 20), AssetRef("initramfs", "b" * 64, 100 << 20)
    return Facts(
        "CA\n",
        ImageFacts(kernel, other, other, "6.12", 300 << 20, "1.7.24"),
        ReleaseFacts(KubeVersion(1, 36, 1), "upstream", (), other),
    )


def linux(script: str) -> list[str]:
    """The words of the ``linux`` command; between single quotes GRUB and a shell agree."""
    (line,) = (line.strip() for line in script.splitlines() if line.strip().startswith("if linux "))
    return shlex.split(line.removeprefix("if linux ").removesuffix("; then"))


@pytest.mark.parametrize("nonce", [NONCE, None])
def test_the_kernel_gets_what_ipxe_gives_it(nonce: str | None) -> None:
    path, *words = linux(grub.machine_script(LAB, facts(), CP, nonce))
    assert path == f"(http,10.77.0.1)/assets/{'a' * 64}/vmlinuz"
    assert ["initrd=initrd.img", *words] == boot.command_line(LAB, facts(), CP, nonce).split()
    assert (f"nodisk.nonce={NONCE}" in words) is (nonce is not None)


def test_a_machine_that_can_not_join_says_so() -> None:
    assert "not armed" not in grub.machine_script(LAB, facts(), CP, NONCE)
    assert "not armed" in grub.machine_script(LAB, facts(), CP, None)


def test_a_machine_script_does_nothing_before_its_last_line() -> None:
    first, *inner, brace, last, end = grub.machine_script(LAB, facts(), CP, NONCE).split("\n")
    assert first == "function nodisk_boot {"
    assert all(line.startswith("    ") for line in inner)
    assert (brace, last, end) == ("}", "nodisk_boot", "")
    assert not grub.machine_script(LAB, facts(), CP, NONCE).count("nodisk_done"), "GRUB asks again after it"


def test_a_pools_address_is_changed_before_anything_is_minted() -> None:
    script = grub.address_script(LAB, CP)
    first, *inner, brace, last, end = script.split("\n")
    assert (first, brace, last, end) == ("function nodisk_address {", "}", "nodisk_address", "")
    assert [line.split()[0] for line in inner] == ["set", "echo", "net_add_addr", "net_add_route", "source"]
    assert "linux" not in script
    assert "pool=" in inner[-1]


def test_only_emulated_machines_get_what_emulation_needs() -> None:
    real = boot.command_line(LAB, facts(), CP, None).split()
    emulated = boot.command_line(LAB, replace(facts(), emulated=True), CP, None).split()
    assert emulated == [*real, *boot.EMULATED]


def test_the_command_line_with_grubs_own_word_must_fit() -> None:
    name = "k" * 1400  # the kernel's path is in GRUB's command line, and not in iPXE's
    boot.machine_script(LAB, facts(name), CP, NONCE)
    with pytest.raises(NodiskError, match=r"under GRUB, it reads 2047"):
        grub.machine_script(LAB, facts(name), CP, NONCE)


def test_an_unknown_machine_boots_nothing_of_the_lab() -> None:
    script = grub.unknown_script(LAB, Mac.parse("02-00-00-00-00-01"))
    assert "linux" not in script
    assert "/assets/" not in script
    assert "02:00:00:00:00:01" in script
    assert "set nodisk_done=yes\n" in script
    assert "set default=disk\n" in script


@given(st.text(st.characters(exclude_characters="\0\n\r", codec="utf-8")))
def test_a_quoted_word_is_one_word(text: str) -> None:
    assert shlex.split(grub.quoted(text)) == [text]


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b"])
def test_what_no_word_can_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no word of one line"):
        grub.quoted(text)
