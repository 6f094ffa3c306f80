"""From what depmod, modinfo and Debian's archive say to the package that a NIC's driver may need."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodisk.assets import kernel_modules, nic_drivers
from nodisk.assets.nic_drivers import Driver

# Of Debian's 6.12 and trixie's index, shortened.
ALIAS = """\
# Aliases extracted from modules themselves.
alias pci:v000010ECd00008168sv*sd*bc*sc*i* r8169
alias pci:v000010ECd00008125sv*sd*bc*sc*i* r8169
alias pci:v00001737d00001032sv*sd00000024bc*sc*i* r8169
alias pci:v00008086d0000100Esv*sd*bc*sc*i* e1000
alias pci:v00008086d0000095Asv*sd00005010bc*sc*i* iwlwifi
alias pci:v*d*sv*sd*bc02sc*i* nobody
alias usb:v0BDAp8153d*dc*dsc*dp*icFFiscFFip00in* r8152
alias usb:v*p*d*dc*dsc*dp*ic02isc06ip00in* cdc_ether
alias virtio:d00000001v* virtio_net
alias net-pf-24 pppoe
"""
DEP = """\
kernel/drivers/net/ethernet/realtek/r8169.ko.xz:
kernel/drivers/net/ethernet/intel/e1000/e1000.ko.xz:
kernel/drivers/net/wireless/intel/iwlwifi/iwlwifi.ko.xz:
kernel/drivers/net/usb/r8152.ko.xz:
kernel/drivers/net/virtio_net.ko.xz:
"""
MODINFO = """\
filename:       /lib/modules/6.12.1/kernel/drivers/net/ethernet/realtek/r8169.ko.xz
firmware:       rtl_nic/rtl8168h-2.fw
firmware:       rtl_nic/rtl8125b-2.fw
firmware:       rtl_nic/none.fw
license:        GPL
filename:       /lib/modules/6.12.1/kernel/drivers/net/ethernet/intel/e1000/e1000.ko.xz
license:        GPL v2
filename:       /lib/modules/6.12.1/kernel/drivers/net/usb/r8152.ko.xz
firmware:       rtl_nic/rtl8153*.fw
"""
CONTENTS = """\
usr/lib/firmware/rtl_nic/rtl8125b-2.fw                  non-free-firmware/kernel/firmware-realtek
usr/lib/firmware/rtl_nic/rtl8153a-2.fw.zst              non-free-firmware/kernel/firmware-realtek,kernel/other
lib/firmware/rtl_nic/rtl8168h-2.fw                      non-free-firmware/kernel/firmware-realtek
usr/share/doc/firmware-realtek/copyright                non-free-firmware/kernel/firmware-realtek
usr/lib/firmware/evil.fw                                x/$(reboot)
"""
NEEDS = kernel_modules.parse(DEP)


def table(present: tuple[str, ...] = ()) -> dict[str, Driver]:
    found = nic_drivers.table(
        needs=NEEDS,
        there=kernel_modules.kept(NEEDS),
        devices=nic_drivers.ids(ALIAS),
        wanted=nic_drivers.firmware(MODINFO),
        present=present,
        sources=nic_drivers.packages(CONTENTS),
    )
    return {driver.name: driver for driver in found}


def test_a_driver_is_known_by_its_nics() -> None:
    assert table()["r8169"].ids == ("pci:10ec:8125", "pci:10ec:8168", "pci:1737:1032")
    assert table()["r8152"].ids == ("usb:0bda:8153",)
    assert "virtio_net" not in table()
    assert [driver.name for driver in nic_drivers.drivers_of("pci:10ec:8168", table().values())] == ["r8169"]
    assert not list(nic_drivers.drivers_of("pci:1af4:1000", table().values()))


def test_missing_firmware_leads_to_its_package() -> None:
    r8169 = table()["r8169"]
    assert r8169.lacks == {
        "rtl_nic/none.fw": "",
        "rtl_nic/rtl8125b-2.fw": "firmware-realtek",
        "rtl_nic/rtl8168h-2.fw": "firmware-realtek",
    }
    assert r8169.packages == ("firmware-realtek",)
    assert table()["e1000"].packages == ()


def test_a_pattern_stands_for_files() -> None:
    assert table()["r8152"].packages == ("firmware-realtek",)
    assert table(("usr/lib/firmware/rtl_nic/rtl8153a-2.fw.xz",))["r8152"].lacks == {}


def test_what_the_image_has_is_not_missed() -> None:
    assert "rtl_nic/rtl8168h-2.fw" not in table(("usr/lib/firmware/rtl_nic/rtl8168h-2.fw",))["r8169"].lacks


def test_a_driver_that_was_left_out_says_why() -> None:
    assert table()["iwlwifi"].left_out == "a node has no radio"
    assert table()["r8169"].left_out == ""


def test_what_is_no_packages_name_is_not_repeated() -> None:
    assert "evil.fw" not in nic_drivers.packages(CONTENTS)


def test_json_and_back() -> None:
    drivers = list(table().values())
    assert nic_drivers.loads(nic_drivers.dumps(drivers)) == drivers
    assert len(json.loads(nic_drivers.dumps(drivers))) == len(drivers)


@pytest.mark.parametrize(
    ("busid", "nic"),
    [
        ("01:10:ec:81:68", "pci:10ec:8168"),
        ("01-80-86-10-0E", "pci:8086:100e"),
        ("0a:05:25:a4:a2", "usb:0525:a4a2"),
        ("01:00:00:00:00", None),
        ("05:10:ec:81:68", None),
        ("01:10:ec:81:68:00", None),
        ("${netX/busid}", None),
        ("", None),
    ],
)
def test_ipxes_busid(busid: str, nic: str | None) -> None:
    assert nic_drivers.of_busid(busid) == nic


@given(st.text())
def test_any_busid_is_read(text: str) -> None:
    nic_drivers.of_busid(text)


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert all(module and names for module, names in nic_drivers.ids(text).items())
    assert all(names for names in nic_drivers.firmware(text).values())
    assert all(file and package for file, package in nic_drivers.packages(text).items())


HEX = st.from_regex(r"[0-9A-F]{4}", fullmatch=True)


@given(st.lists(st.tuples(st.sampled_from(["pci", "usb"]), HEX, HEX)))
def test_every_alias_of_a_nic_is_found(nics: list[tuple[str, str, str]]) -> None:
    lines = [
        f"alias pci:v0000{vendor}d0000{device}sv*sd*bc*sc*i* some-nic"
        if bus == "pci"
        else f"alias usb:v{vendor}p{device}d*dc*dsc*dp*ic*isc*ip*in* some-nic"
        for bus, vendor, device in nics
    ]
    wanted = {f"{bus}:{vendor}:{device}".lower() for bus, vendor, device in nics}
    assert set(nic_drivers.ids("\n".join(lines)).get("some_nic", ())) == wanted
