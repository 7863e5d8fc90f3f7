"""One timer for the deadlines of many calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from dspex_worker.deadlines import Deadlines


class Timer:
    def __init__(self, at: float, callback: Callable[[], None]) -> None:
        self.at, self.callback, self.cancelled = at, callback, False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """A loop whose clock is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, at: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(at, callback))
        return self.timers[-1]

    def standing(self) -> list[float]:
        return [timer.at for timer in self.timers if not timer.cancelled]

    def go_to(self, now: float) -> None:
        self.now = now
        due = [timer for timer in self.timers if timer.at <= now and not timer.cancelled]
        self.timers = [timer for timer in self.timers if timer not in due]
        for timer in due:
            timer.callback()


class Call:
    def __init__(self, deadline: float | None) -> None:
        self.deadline = deadline
        self.expired = 0

    def expire(self) -> None:
        self.expired += 1


class Place:
    def __init__(self) -> None:
        self.loop = Loop()
        self.calls: list[Call] = []
        self.deadlines = Deadlines(cast(Any, self.loop), lambda: self.calls)

    def call(self, deadline: float | None) -> Call:
        call = Call(deadline)
        self.calls.append(call)
        if deadline is not None:
            self.deadlines.watch(deadline)
        return call


@pytest.fixture
def place() -> Place:
    return Place()


def test_calls_expire_each_at_its_own_deadline(place: Place) -> None:
    second, first, third = place.call(20), place.call(10), place.call(30)
    place.loop.go_to(10)
    assert (first.expired, second.expired, third.expired) == (1, 0, 0)
    place.loop.go_to(20)
    assert (first.expired, second.expired, third.expired) == (1, 1, 0)
    place.loop.go_to(30)
    assert (first.expired, second.expired, third.expired) == (1, 1, 1)


def test_there_is_one_timer_at_the_earliest_deadline(place: Place) -> None:
    for deadline in (30.0, 40.0, 20.0, 50.0):
        place.call(deadline)
    assert place.loop.standing() == [20.0]


def test_a_timer_whose_call_has_ended_stands_up_for_the_next_one(place: Place) -> None:
    place.calls.remove(place.call(10))
    later = place.call(25)
    place.loop.go_to(10)
    assert (later.expired, place.loop.standing()) == (0, [25.0])
    place.loop.go_to(25)
    assert later.expired == 1


def test_calls_without_a_deadline_stay(place: Place) -> None:
    patient, other = place.call(None), place.call(5)
    place.loop.go_to(1000)
    assert (patient.expired, other.expired, place.loop.standing()) == (0, 1, [])


def test_a_clock_that_is_a_little_behind_its_timer_does_no_harm(place: Place) -> None:
    call = place.call(10)
    (timer,) = place.loop.timers
    place.loop.now = 9.999
    timer.callback()
    assert call.expired == 1


def test_nothing_is_left_standing_after_the_end(place: Place) -> None:
    place.call(10)
    place.deadlines.close()
    assert place.loop.standing() == []
