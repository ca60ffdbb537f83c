"""Timers are keyed messages in one heap; ids count; the clock never goes back."""

from __future__ import annotations

from actors.runtime.clock import SimulatedClock, SystemClock
from actors.runtime.ids import IdSource, base36, session_identifier
from actors.runtime.timers import TimerHeap


def due(heap: TimerHeap, now_us: int) -> list[object]:
    found = []
    while (message := heap.pop_due(now_us)) is not None:
        found.append(message)
    return found


def test_timers_fire_by_due_time_and_equal_ones_in_the_order_of_setting() -> None:
    heap = TimerHeap()
    for key, at in (("late", 20), ("b", 10), ("a", 10)):
        heap.set(key, at, key)

    assert [] == due(heap, 9)
    assert 10 == heap.next_due_us()
    assert ["b", "a"] == due(heap, 10)
    assert ["late"] == due(heap, 100)
    assert heap.next_due_us() is None


def test_setting_a_key_again_replaces_the_timer_earlier_or_later() -> None:
    heap = TimerHeap()
    heap.set("k", 10, "old")
    heap.set("k", 30, "new")
    assert [] == due(heap, 10)
    heap.set("k", 20, "newest")

    assert ["newest"] == due(heap, 100)
    assert 0 == len(heap)


def test_a_cancelled_timer_never_fires_and_an_unknown_key_is_fine() -> None:
    heap = TimerHeap()
    heap.set("k", 10, "m")
    heap.cancel("k")
    heap.cancel("never set")

    assert heap.next_due_us() is None
    assert [] == due(heap, 100)


def test_a_key_may_be_used_again_after_it_fired_or_was_cancelled() -> None:
    heap = TimerHeap()
    heap.set("k", 10, 1)
    heap.cancel("k")
    heap.set("k", 10, 2)
    assert [2] == due(heap, 10)
    heap.set("k", 5, 3)
    assert [3] == due(heap, 10)


def test_replacing_for_ever_keeps_the_heap_within_a_bound() -> None:
    heap = TimerHeap()
    for number in range(10_000):
        heap.set("k", number, number)
        assert len(heap._heap) <= 65
    assert [9_999] == due(heap, 10**9)


def test_ids_are_unique_within_a_session_and_fit_into_36_characters() -> None:
    ids = IdSource(session_identifier(1_767_225_600_000_000, 1, 0))
    made = [ids.next(kind) for _ in range(5_000) for kind in "opsq"]

    assert len(made) == len(set(made))
    assert 36 >= max(map(len, made))


def test_two_sessions_of_one_simulated_moment_differ_by_the_head_that_they_found() -> None:
    same = {session_identifier(10**15, 7, 5), session_identifier(10**15, 7, 5)}
    assert 1 == len(same)
    assert 20 == len({session_identifier(10**15, 7, head) for head in range(0, 400, 20)})


def test_without_a_seed_a_session_id_has_a_tail_of_chance() -> None:
    assert 1 < len({session_identifier(10**15, None, 0) for _ in range(50)})


def test_base36_counts_like_every_other_base() -> None:
    assert ["0", "z", "10", "100"] == [base36(n) for n in (0, 35, 36, 36 * 36)]


def test_simulated_time_moves_forward_only() -> None:
    clock = SimulatedClock(100)
    clock.move_to(50)
    assert 100 == clock.now_us()
    clock.move_to(150)
    assert 150 == clock.now_us()


def test_the_system_clock_never_goes_back_and_knows_its_skew() -> None:
    clock = SystemClock()
    readings = [clock.now_us() for _ in range(1_000)]

    assert sorted(readings) == readings
    assert 1_000_000 > abs(clock.skew_us())
    ahead_us = clock.now_us() + 3_600_000_000
    clock.not_before(ahead_us)
    assert ahead_us <= clock.now_us()
    assert 1_000_000 > abs(clock.skew_us())  # going on from a journal's time is no skew
