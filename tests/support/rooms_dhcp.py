"""Labs as a room's DHCP server may meet them, for property tests: odd names, any subnet, either mode."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from nodisk.plan.dhcp_answers import Room, room
from nodisk.spec.load import parse
from nodisk.yamltext import dump

# Words that some reader takes for a number, a time, a keyword of its own, or the end of something.
_ODD = (
    *("112", "08", "1e3", "0x1f", "12h", "7d", "true", "null", "infinite", "ignore", "option", "host", "if", "range"),
    *("a", "x" * 60, "w-1", "deadbeef", "8-8-8-8", "subnet", "include", "group", "pool", "default", "set", "tag"),
)
NAMES = st.sampled_from(_ODD) | st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
MACS = st.integers(1, 2**48 - 1).filter(lambda number: not number >> 40 & 1)


@st.composite
def rooms(draw: st.DrawFn) -> Room:
    """An accepted lab of one to six machines, with or without reservations."""
    names = draw(st.lists(NAMES.filter(lambda name: name != "server"), min_size=1, max_size=6, unique=True))
    macs = draw(st.lists(MACS, min_size=len(names), max_size=len(names), unique=True))
    prefix, base = draw(st.sampled_from([(24, "10.77.3."), (26, "192.168.8."), (16, "172.20.0.")]))
    places = draw(st.lists(st.integers(3, 60), min_size=len(names), max_size=len(names), unique=True))
    network: dict[str, Any] = {"subnet": f"{base}0/{prefix}", "server": f"{base}1"}
    network["dhcp"] = draw(st.sampled_from(["none", "none", "proxy"]))
    if draw(st.booleans()):
        network["gateway"] = f"{base}2"
    text = dump(
        {
            "name": draw(NAMES),
            "network": network,
            "secure_boot": draw(st.booleans()),
            "machines": [
                {
                    "name": name,
                    "mac": ":".join(f"{byte:02x}" for byte in mac.to_bytes(6, "big")),
                    "address": f"{base}{place}",
                    "role": "worker" if index else "control-plane",
                    **draw(st.sampled_from([{}, {}, {"secure_boot": True}, {"secure_boot": False}])),
                }
                for index, (name, mac, place) in enumerate(zip(names, macs, places, strict=True))
            ],
        }
    )
    lab = parse(text, file="lab.yaml")
    programs = {"bios": "undionly.kpxe", "uefi": "snponly.efi", "signed": "shimx64.efi", "arm64": "ipxe-arm64.efi"}
    return room(lab, **programs, reservations=draw(st.booleans()))
