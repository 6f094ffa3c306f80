"""Pressing buttons, one or a room of them: what is answered is what was seen, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nodisk.errors import NodiskError
from nodisk.machines.buttons.button import Answer, Button, Outcome, PowerTrouble, Seen, State, Wish, rest
from nodisk.parallel import all_or_raise, in_parallel
from nodisk.waiting import Deadline

AT_ONCE = 64
"""Machines that are waited for at the same time; a waiting one costs a thread, and now and then a request."""
AGAIN = 1.0
"""Seconds between two looks at one machine."""
SHORTEST = 5.0
"""Seconds that the last look gets, however little is left."""


@dataclass(frozen=True, slots=True)
class Way:
    """How to press."""

    within: float = 120.0
    """Seconds for one machine, all in all."""
    stagger: float = 0.0
    """Seconds between the starts of two machines."""
    cut: bool = False
    """Take the power away instead of an orderly shutdown."""


def press(name: str, button: Button, wish: Wish, way: Way) -> Answer:
    """One wish for one machine."""
    deadline = Deadline(way.within)

    def answer(outcome: Outcome, state: State, detail: str, *, already: bool = False) -> Answer:
        return Answer(name, button.how, outcome, state, detail, already)

    try:
        before = button.look(_left(deadline))
        if wish is Wish.STATUS:
            known = before.state is not State.UNKNOWN
            return answer(Outcome.CONFIRMED if known else Outcome.UNKNOWN, before.state, before.words)
        wanted = State.ON if wish is Wish.ON else State.OFF
        if before.state is wanted and wish is not Wish.CYCLE:
            return answer(Outcome.CONFIRMED, wanted, f"was {wanted} already: {before.words}", already=True)
        if wish is not Wish.ON and before.state is not State.OFF:
            (button.cut if way.cut else button.off)(_left(deadline))
            seen = _await(button, State.OFF, deadline)
            if wish is Wish.OFF or seen.state is not State.OFF:
                return _judge(answer, seen, State.OFF)
        button.on(_left(deadline))
        return _judge(answer, _await(button, State.ON, deadline), State.ON)
    except NodiskError as error:
        return answer(Outcome.UNKNOWN, State.UNKNOWN, _reason(error))


def _await(button: Button, wanted: State, deadline: Deadline) -> Seen:
    """Look until it is as wanted, or the time is over; what was seen last. A look that fails is tried again."""
    seen = Seen(State.UNKNOWN, "it was not seen since")
    while True:
        try:
            seen = button.look(_left(deadline))
        except PowerTrouble as error:
            seen = Seen(State.UNKNOWN, _reason(error))
        if seen.state is wanted or deadline.left < AGAIN:
            return seen
        rest(AGAIN)


def _judge(answer: Callable[[Outcome, State, str], Answer], seen: Seen, wanted: State) -> Answer:
    if seen.state is wanted:
        return answer(Outcome.CONFIRMED, seen.state, seen.words)
    return answer(Outcome.ASKED, seen.state, f"took the request, but {seen.words}")


def _left(deadline: Deadline) -> float:
    return max(deadline.left, SHORTEST)


def _reason(error: NodiskError) -> str:
    return f"{error.message.splitlines()[0]}{f' ({error.hint})' if error.hint else ''}"


def press_all(
    names: Sequence[str],
    button_of: Callable[[str], Button],
    wish: Wish,
    way: Way,
    *,
    tell: Callable[[Answer], None] = lambda _: None,
) -> list[Answer]:
    """The same wish for many machines, in their order; ``tell`` hears of each as it comes, from several threads.

    After Ctrl-C none is begun, and those that wait give up.
    """
    began = time.monotonic()

    def one(numbered: tuple[int, str]) -> Answer:
        number, name = numbered
        try:
            rest(began + number * way.stagger - time.monotonic())
            found = press(name, button_of(name), wish, way)
        except NodiskError as error:
            found = Answer(name, "none", Outcome.UNKNOWN, State.UNKNOWN, _reason(error))
        tell(found)
        return found

    return all_or_raise(in_parallel(one, list(enumerate(names)), workers=AT_ONCE))
