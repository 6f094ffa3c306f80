"""What is recorded of whom, and how much at most."""

from __future__ import annotations

from nodisk.server.limits import Alarms, Limits, RateLimit
from nodisk.values import Mac, Stage

MAC, OTHER = Mac.parse("52:54:00:00:00:01"), Mac.parse("52:54:00:00:00:02")


def test_a_source_that_says_too_much_is_cut() -> None:
    now = [0.0]
    limit = RateLimit(burst=3, per_second=1, now=lambda: now[0])
    assert [limit.allows("a") for _ in range(5)] == [True, True, True, False, False]
    assert limit.allows("b"), "each source has its own"
    now[0] = 2.0
    assert [limit.allows("a") for _ in range(3)] == [True, True, False]


def test_the_limit_is_bounded_in_memory() -> None:
    limit = RateLimit(burst=1, per_second=0, sources=10)
    assert [limit.allows("first") for _ in range(2)] == [True, False]
    for number in range(9):
        limit.allows(str(number))
    assert not limit.would_allow("first"), "ten are remembered"
    limit.allows("the eleventh")
    assert limit.would_allow("first"), "the one that was seen longest ago is forgotten"


def test_alarms_are_counted_in_few_writes() -> None:
    now, records, amended = [0.0], list[str](), list[tuple[int, str]]()
    alarms = Alarms(RateLimit(burst=2, per_second=1 / 60, now=lambda: now[0]))

    def tell(sort: str) -> None:
        def record(detail: str) -> int:
            records.append(detail)
            return len(records)

        alarms.tell(sort, sort, record, lambda number, text: amended.append((number, text)))

    for _ in range(1002):
        tell("a")
    tell("b")
    assert records == ["a", "a", "b"]
    assert len(amended) == 10
    assert amended[-1] == (2, "a (and at least 512 more like it)")
    now[0] = 60.0
    tell("a")
    assert records[-1] == "a"


def test_each_machine_and_each_stage_has_its_own() -> None:
    limits = Limits()
    while limits.report(MAC, Stage.OS):
        pass
    while limits.sighting(MAC, Stage.DHCP):
        pass
    assert limits.report(MAC, Stage.FAILED)
    assert limits.report(OTHER, Stage.OS)
    assert limits.sighting(MAC, Stage.IPXE)
    assert limits.sighting(OTHER, Stage.DHCP)
