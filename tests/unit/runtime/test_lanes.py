"""Lanes: priority, limits, and a fact source that waits instead of losing anything (L9)."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.runtime.lanes import Inbox, LaneFull


def inbox(limit: int = 2) -> Inbox:
    return Inbox(control_max=limit, facts_max=limit, market_max=limit)


def drained(box: Inbox) -> list[object]:
    found = []
    while (message := box.next()) is not None:
        found.append(message)
    return found


def test_the_lanes_are_drained_local_first_then_control_then_facts_then_market() -> None:
    box = inbox()
    box.market_data("market")
    box.fact_nowait("fact")
    box.command("control")
    box.tell_local("local")

    assert ["local", "control", "fact", "market"] == drained(box)


def test_what_the_release_did_comes_before_every_local_message_and_keeps_its_order() -> None:
    box = inbox(8)
    box.tell_local("halt")
    box.tell_first("sent 1")
    box.tell_first("sent 2")

    assert "sent 1" == box.next()
    box.tell_first("sent 3")
    assert ["sent 2", "sent 3", "halt"] == drained(box)
    box.tell_local("x")
    box.tell_first("y")
    assert ["y", "x"] == drained(box)


def test_a_full_control_lane_refuses_and_says_which_limit_it_was() -> None:
    box = inbox(1)
    box.command(1)

    with pytest.raises(LaneFull, match=r"control is full \(1\)"):
        box.command(2)
    assert 1 == box.control.statistics().shed


def test_a_full_local_lane_is_an_error_also_for_what_goes_first() -> None:
    box = inbox(1)
    box.tell_local(1)
    box.tell_first(2)

    with pytest.raises(LaneFull, match="local"):
        box.tell_local(3)
    with pytest.raises(LaneFull, match="local"):
        box.tell_first(3)
    assert [2, 1] == drained(box)


def test_a_full_market_lane_sheds_the_new_datum_and_counts_it() -> None:
    box = inbox(1)

    assert box.market_data(1)
    assert not box.market_data(2)
    statistics = box.market.statistics()
    assert (1, 1, 1) == (statistics.shed, statistics.waiting, statistics.waiting_max)


def test_a_full_fact_lane_takes_nothing_and_counts_nothing_as_lost() -> None:
    box = inbox(1)

    assert box.fact_nowait(1)
    assert not box.fact_nowait(2)
    assert 0 == box.facts.statistics().shed


def test_every_arrival_rings_the_bell_also_one_that_was_shed() -> None:
    box, rings = inbox(1), []
    box.on_arrival = lambda: rings.append(1)

    box.command(1)
    box.tell_local(1)
    box.tell_first(1)
    box.fact_nowait(1)
    box.market_data(1)
    box.market_data(2)

    assert 6 == len(rings)


async def test_a_fact_source_waits_while_the_lane_is_full_and_goes_on_in_order() -> None:
    box = inbox(1)
    delivered: list[int] = []

    async def source() -> None:
        for number in range(4):
            await box.fact(number)
            delivered.append(number)

    seen = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(source)
        for _ in range(4):
            await wait_all_tasks_blocked()
            seen.append(box.next())
    assert [0, 1, 2, 3] == seen == delivered


async def test_every_one_of_several_waiting_sources_is_woken() -> None:
    """Each waiter made an event of its own, and only the last one was ever set."""
    box = inbox(1)
    box.fact_nowait("first")
    seen = [""]
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for name in "abc":
                nursery.start_soon(box.fact, name)
            await wait_all_tasks_blocked()
            while len(seen) < 5:
                message = box.next()
                if message is None:
                    break
                seen.append(str(message))
                await wait_all_tasks_blocked()
    assert {"first", "a", "b", "c"} == set(seen[1:])


async def test_a_waiting_source_that_is_cancelled_delivers_nothing() -> None:
    box = inbox(1)
    box.fact_nowait(1)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(box.fact, 2)
            await wait_all_tasks_blocked()
            scope.cancel()
    assert [1] == drained(box)
