"""Which machine another one is sent to for a layer."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from nodisk.server.layers import AGAIN, DISTRUST, SMALLEST, WAIT, Layers

A, B, C, D = (IPv4Address(f"10.77.0.{n}") for n in range(2, 6))
RATE = 10_000_000
SIZE = 20_000_000
LAYER = "a" * 64


@dataclass
class Room:
    """Machines as the server sees them: who has the layer when, on a clock that runs with each look at it."""

    now: float = 1000.0
    having: dict[IPv4Address, float] = field(default_factory=dict)
    """Since when."""
    probes: Counter[IPv4Address] = field(default_factory=Counter)

    def clock(self) -> float:
        self.now += 0.1
        return self.now

    off: set[IPv4Address] = field(default_factory=set)

    async def has(self, machine: IPv4Address, digest: str, size: int) -> bool | None:
        self.probes[machine] += 1
        if machine in self.off:
            return None
        return digest == LAYER and size == SIZE and self.having.get(machine, self.now + 1) <= self.now

    def layers(self) -> Layers:
        return Layers(RATE, self.has, clock=self.clock, every=0)


def one(layers: Layers, asker: IPv4Address, size: int = SIZE) -> IPv4Address | None:
    return asyncio.run(layers.giver(LAYER, size, asker))


def test_the_first_from_the_server_the_next_from_the_first() -> None:
    room = Room()
    layers = room.layers()
    assert one(layers, A) is None
    room.having[A] = room.now + 5
    assert one(layers, B) == A
    assert room.now > room.having[A], "it waited until the first had it"


def test_all_at_once_cost_one_copy() -> None:
    room = Room()
    layers = room.layers()
    machines = [IPv4Address(f"10.77.1.{n}") for n in range(1, 31)]

    async def pull(machine: IPv4Address) -> IPv4Address | None:
        source = await layers.giver(LAYER, SIZE, machine)
        room.having[machine] = room.now + 2
        return source

    async def all_pull() -> list[IPv4Address | None]:
        return list(await asyncio.gather(*map(pull, machines)))

    sources = asyncio.run(all_pull())
    assert sources.count(None) == 1
    assert set(sources) - {None} <= set(machines)
    assert max(Counter(sources).values()) < 15, "they share the work"


def test_what_is_small_comes_from_the_server() -> None:
    room = Room(having={A: 0})
    layers = room.layers()
    assert one(layers, A, SMALLEST - 1) is None
    assert one(layers, B, SMALLEST - 1) is None
    assert not room.probes


def test_who_asks_again_gets_it_from_the_server_and_the_giver_is_left_alone() -> None:
    room = Room()
    layers = room.layers()
    one(layers, A)
    room.having[A] = 0
    assert one(layers, B) == A
    assert one(layers, B) is None, "what it got from A was altered, or never came to its end"
    room.having[B] = room.now
    assert one(layers, C) == B, "A is not named"
    del room.having[B]
    room.now += DISTRUST
    assert one(layers, D) == A, "for a while"


def test_who_goes_on_to_the_registry_tells_that_the_giver_failed() -> None:
    room = Room()
    layers = room.layers()
    one(layers, A)
    layers.direct(LAYER, A)
    room.having[A] = 0
    assert one(layers, B) == A
    layers.direct(LAYER, B)
    room.having[B] = room.now
    assert {one(layers, machine) for machine in (C, D)} == {B}, "A is not named"


def test_who_has_the_layer_or_never_asked_blames_nobody() -> None:
    room = Room()
    layers = room.layers()
    layers.direct(LAYER, A)
    one(layers, A)
    room.having[A] = 0
    assert one(layers, B) == A
    room.having[B] = 0
    assert one(layers, C) in {A, B}
    layers.direct(LAYER, B)
    layers.direct("b" * 64, C)
    room.having[C] = 0
    assert {one(layers, IPv4Address(f"10.77.2.{n}")) for n in range(1, 60)} >= {A, B, C}


def test_a_machine_that_has_lost_it_is_not_named_and_may_ask_as_ever() -> None:
    room = Room()
    layers = room.layers()
    one(layers, A)
    room.having[A] = 0
    assert one(layers, B) == A
    room.having[B] = 0
    del room.having[A]
    assert one(layers, C) == B
    room.having[C] = 0
    assert one(layers, A) in {B, C}, "it had it: nobody is to blame"
    room.now += AGAIN
    room.having.clear()
    assert one(layers, D) is None


def test_nobody_waits_for_ever() -> None:
    room = Room()
    layers = room.layers()
    one(layers, A)  # and is switched off
    began = room.now
    assert one(layers, B) is None
    assert 5 < room.now - began < WAIT
    assert one(layers, A) is None


def test_a_machine_that_was_switched_off_is_not_waited_for() -> None:
    room = Room()
    layers = room.layers()
    one(layers, A)
    room.off.add(A)
    began = room.now
    assert one(layers, B) is None
    assert room.now - began < 5


def test_who_goes_while_it_waits_has_got_nothing() -> None:
    room = Room()
    layers = room.layers()
    one(layers, A)
    room.having[A] = 0

    async def left() -> bool:
        return True

    assert asyncio.run(layers.giver(LAYER, SIZE, B, left)) is None
    assert one(layers, B) == A
    assert one(layers, B) is None


def test_one_layer_to_one_machine_at_a_time() -> None:
    room = Room()
    layers = room.layers()
    one(layers, A)
    room.having[A] = 0
    assert one(layers, B) == A
    began = room.now
    assert one(layers, C) == A
    assert room.now - began > 5, "A was busy until B should have had it"


def test_the_room_forgets_the_oldest_layers() -> None:
    room = Room()
    layers = room.layers()
    one(layers, A)
    room.having[A] = 0
    for number in range(1000):
        asyncio.run(layers.giver(f"{number:064x}", SIZE, A))
    assert one(layers, B) is None
