"""The menu's scripts, for iPXE and for GRUB. What GRUB makes of its own is in ``tests/interop/plan``."""

from __future__ import annotations

import re

import pytest

from nodisk.plan import boot, grub_menu
from nodisk.plan import menu as ipxe
from nodisk.spec.model import Lab, Machine

SECRET = "http://10.77.0.9/secret.ipxe"


def lab(**menu: object) -> Lab:
    entries = [
        {
            "name": "debian",
            "title": "Debian's installer",
            "kernel": "http://10.77.0.9/linux",
            "initrd": "http://10.77.0.9/initrd.gz",
            "arguments": "auto=true  url=http://10.77.0.9/p?a=1&b=2 --- quiet",
        },
        {"name": "rescue", "url": SECRET, "password": True},
        {"name": "tools", "url": "http://10.77.0.9/tools.efi"},
        {"name": "script", "url": "http://10.77.0.9/x.ipxe"},
        {"name": "port", "url": "http://10.77.0.9:8080/x.efi"},
        {"name": "https", "kernel": "https://10.77.0.9/linux"},
    ]
    one = {"name": "cp1", "mac": "52:54:00:77:00:0b", "address": "10.77.0.11", "role": "control-plane"}
    network = {"subnet": "10.77.0.0/24", "server": "10.77.0.1"}
    made = {"timeout": 10, "entries": entries, **menu}
    return Lab.model_validate({"name": "room", "network": network, "menu": made, "machines": [one]})


LAB = lab()
CP = LAB.machines[0]
HERE = "http://10.77.0.1/boot/52-54-00-77-00-0b.ipxe"


def test_every_choice_has_its_label() -> None:
    script = ipxe.menu_script(LAB, CP)
    items = re.findall(r"^item (\S+)", script, re.MULTILINE)
    assert items == [
        "lab",
        "disk",
        "debian",
        "rescue",
        "tools",
        "script",
        "port",
        "https",
        "shell",
        "reboot",
        "poweroff",
    ]
    labels = re.findall(r"^:(\S+)$", script, re.MULTILINE)
    assert len(labels) == len(set(labels))
    assert {f"go-{item}" for item in items} <= set(labels)
    assert set(re.findall(r"goto ([a-z]+)\b(?!-)", script)) <= set(labels)


def test_the_menu_holds_nothing_that_needs_the_password() -> None:
    for script in (ipxe.menu_script(LAB, CP), grub_menu.menu_script(LAB, CP)):
        assert SECRET not in script
        assert "nodisk.nonce" not in script
    assert not re.search(r"^(.*\|\| *)?shell\b", ipxe.menu_script(LAB, CP), re.MULTILINE)
    assert "rescue" not in grub_menu.menu_script(LAB, CP)


def test_a_password_is_forgotten_before_anything_else_runs() -> None:
    for name in ("shell", "rescue"):
        assert ipxe.entry_script(LAB, CP, name).splitlines()[1] == "clear password ||"
    assert ipxe.shell_script().splitlines()[1] == "clear password ||"
    lines = list(boot.by_password(LAB, CP.mac, "x"))
    sent = next(place for place, line in enumerate(lines) if line.startswith("chain"))
    assert lines[sent + 1] == "clear password ||", "also where it was refused"
    assert "http://nodisk:${password:uristring}@10.77.0.1/boot/" in lines[sent]


@pytest.mark.parametrize(
    ("settings", "choose"),
    [
        ({}, "choose --default lab --timeout 10000 entry"),
        ({"default": "disk", "timeout": 3}, "choose --default disk --timeout 3000 entry"),
        ({"timeout": 0}, "choose --default lab --timeout 30000 entry"),
    ],
)
def test_default_and_time_out(settings: dict[str, object], choose: str) -> None:
    made = lab(**settings)
    assert f"{choose} || goto menu\n" in ipxe.menu_script(made, made.machines[0])


def test_an_entry_with_a_kernel() -> None:
    lines = ipxe.entry_script(LAB, CP, "debian").splitlines()
    arguments = "auto=true url=http://10.77.0.9/p?a=1&b=2 --- quiet"
    assert f"kernel http://10.77.0.9/linux initrd=initrd.img {arguments} || goto failed" in lines
    assert "initrd --name initrd.img http://10.77.0.9/initrd.gz || goto failed" in lines
    assert lines.index("boot ||") < lines.index(":failed") < lines.index(":again")
    assert f"chain --replace --autofree {HERE}?entry=menu ||" in lines


def test_a_disk_that_is_not_there_is_said() -> None:
    for script in (ipxe.menu_script(LAB, CP), ipxe.entry_script(LAB, CP, "disk")):
        after = script[script.index("sanboot --no-describe --drive 0x80") :]
        assert "echo nodisk: this machine has no disk that boots" in after
    for script in (grub_menu.menu_script(LAB, CP), grub_menu.entry_script(LAB, CP, "disk")):
        assert "no disk of this machine has a system for UEFI" in script


@pytest.mark.parametrize("name", ["lab", "menu", "reboot", "nothing"])
def test_what_is_no_entry(name: str) -> None:
    with pytest.raises(KeyError):
        ipxe.entry_script(LAB, CP, name)
    with pytest.raises(KeyError):
        grub_menu.entry_script(LAB, CP, name)


def test_grub_starts_nothing_that_asks_for_a_password() -> None:
    for name in ("rescue", "shell"):
        with pytest.raises(KeyError):
            grub_menu.entry_script(LAB, CP, name)


def grub_entries(machine: Machine, of: Lab) -> list[str]:
    return re.findall(r"menuentry .* --id go-(\S+) --unrestricted \{", grub_menu.menu_script(of, machine))


def test_grub_offers_what_it_can_load() -> None:
    assert grub_entries(CP, LAB) == ["lab", "disk", "debian", "tools", "reboot", "poweroff"]
    assert "chainloader '(http,10.77.0.9)/tools.efi'" in grub_menu.entry_script(LAB, CP, "tools")
    assert "GRUB can not start https" in grub_menu.entry_script(LAB, CP, "https")
    other = lab(default="script")
    assert "set default=go-disk\n" in grub_menu.menu_script(other, other.machines[0]), "GRUB can't load the default"


def test_grub_takes_no_name_for_a_number() -> None:
    """``set default=1`` would be the second entry."""
    of = lab(default="1", entries=[{"name": "1", "url": "http://10.77.0.9/tools.efi"}])
    assert "set default=go-1\n" in grub_menu.menu_script(of, of.machines[0])
    assert grub_entries(of.machines[0], of)[2] == "1"


def test_grubs_command_line_is_shut_before_any_entry() -> None:
    script = grub_menu.menu_script(LAB, CP)
    assert script.index("set superusers=nodisk") < script.index("menuentry")
    assert script.count("menuentry") == script.count("--unrestricted")
    assert "password" not in script


def test_grubs_scripts_do_nothing_before_their_last_line() -> None:
    for script in (grub_menu.menu_script(LAB, CP), grub_menu.entry_script(LAB, CP, "debian")):
        first, *inner, brace, last, end = script.split("\n")
        assert first == f"function {last} {{"
        assert all(line.startswith("    ") for line in inner)
        assert (brace, end) == ("}", "")
