"""docs/reference/bench.md has every measure and every amount, as the code has them."""

from pathlib import Path

from nodisk.bench.measures import DEFINITIONS
from nodisk.bench.profile import FULL, QUICK, Profile

PAGE = (Path(__file__).parents[3] / "docs/reference/bench.md").read_text(encoding="utf-8")
AMOUNTS = {
    "API cycles of six calls": "api_calls",
    "API cycles per second": "api_rate",
    "pods started one after another": "pods",
    "pods per second": "pod_rate",
    "pods with a new image, per node": "cold",
    "pods per node in the burst": "burst",
    "fills the nodes (`density`)": "density",
    "seconds per stream": "net_seconds",
    "repeats": "net_repeats",
    "ICMP echoes per path": "rtt",
    "Services": "services",
    "DNS lookups": "lookups",
    "students": "students",
}


def test_every_measure_is_documented() -> None:
    rows = []
    for one in DEFINITIONS:
        sign = "≥" if one.better == "higher" else "≤"
        threshold = "" if one.threshold is None else f"{sign} {one.threshold:g} {one.unit}"
        rows.append(f"| {one.group} | `{one.name}`: {one.what} | {one.unit} | {one.judge} | {threshold} |")
    assert [line for line in PAGE.splitlines() if "| `" in line] == rows


def test_every_amount_of_a_profile_is_documented() -> None:
    def cell(profile: Profile, name: str) -> str:
        value = getattr(profile, name)
        return ("no", "yes")[value] if isinstance(value, bool) else f"{value:g}"

    assert set(AMOUNTS.values()) == {name for name in Profile.__slots__ if name != "name"}
    for words, name in AMOUNTS.items():
        assert f"| {words} | {cell(QUICK, name)} | {cell(FULL, name)} |" in PAGE
