"""One-for-one: restart with back-off, a window, and a watcher that hears of every death."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
import trio.testing

from actors.runtime.supervision import ChildDied, Intensity, Supervisor


@pytest.fixture
def deaths() -> list[ChildDied]:
    return []


async def test_a_child_that_dies_is_restarted_alone(
    autojump_clock: trio.testing.MockClock, deaths: list[ChildDied]
) -> None:
    starts: list[str] = []

    async def weak() -> None:
        starts.append("weak")
        if starts.count("weak") < 3:
            raise ValueError("no")

    async def strong() -> None:
        starts.append("strong")
        await trio.sleep(10)

    supervisor = Supervisor(deaths.append)
    async with trio.open_nursery() as nursery:
        supervisor.start(nursery, "weak", weak)
        supervisor.start(nursery, "strong", strong)

    assert (3, 1) == (starts.count("weak"), starts.count("strong"))
    assert [(0, False), (1, False)] == [(d.restarts, d.given_up) for d in deaths]
    assert "ValueError: no" == supervisor.children["weak"].last_error
    assert not supervisor.children["weak"].running


async def test_the_pause_doubles_up_to_its_limit(
    autojump_clock: trio.testing.MockClock, deaths: list[ChildDied]
) -> None:
    at: list[float] = []

    async def child() -> None:
        at.append(trio.current_time())
        raise ValueError

    intensity = Intensity(restarts_max=4, window_s=100, backoff_initial_s=1, backoff_max_s=3)
    async with trio.open_nursery() as nursery:
        Supervisor(deaths.append, intensity).start(nursery, "child", child)

    pauses = [round(b - a, 3) for a, b in pairwise(at)]
    assert [1, 2, 3, 3] == pauses


async def test_above_the_intensity_the_child_stays_down_and_the_watcher_is_told(
    autojump_clock: trio.testing.MockClock, deaths: list[ChildDied]
) -> None:
    async def child() -> None:
        raise ValueError

    intensity = Intensity(restarts_max=2, window_s=100)
    async with trio.open_nursery() as nursery:
        Supervisor(deaths.append, intensity).start(nursery, "child", child)

    assert [False, False, True] == [death.given_up for death in deaths]


async def test_deaths_outside_of_the_window_are_forgotten(
    autojump_clock: trio.testing.MockClock, deaths: list[ChildDied]
) -> None:
    async def child() -> None:
        await trio.sleep(20)
        if len(deaths) < 5:
            raise ValueError

    intensity = Intensity(restarts_max=1, window_s=10, backoff_initial_s=1)
    async with trio.open_nursery() as nursery:
        Supervisor(deaths.append, intensity).start(nursery, "child", child)

    assert 5 == len(deaths)
    assert not any(death.given_up for death in deaths)


async def test_a_group_of_errors_is_one_death(
    autojump_clock: trio.testing.MockClock, deaths: list[ChildDied]
) -> None:
    async def child() -> None:
        if not deaths:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(fails)

    async def fails() -> None:
        raise OSError("cut")

    async with trio.open_nursery() as nursery:
        Supervisor(deaths.append).start(nursery, "child", child)
    assert 1 == len(deaths)


async def test_a_service_that_must_run_and_ends_by_itself_is_restarted(
    autojump_clock: trio.testing.MockClock, deaths: list[ChildDied]
) -> None:
    runs = 0

    async def child() -> None:
        nonlocal runs
        runs += 1

    intensity = Intensity(restarts_max=2, window_s=100, backoff_initial_s=1, backoff_max_s=1)
    async with trio.open_nursery() as nursery:
        Supervisor(deaths.append, intensity).start(nursery, "child", child, must_run=True)
    assert 3 == runs
    assert ["it ended by itself"] * 3 == [death.error for death in deaths]
    assert deaths[-1].given_up


async def test_cancelling_ends_the_child_without_a_death(deaths: list[ChildDied]) -> None:
    async with trio.open_nursery() as nursery:
        Supervisor(deaths.append).start(nursery, "child", trio.sleep_forever)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert [] == deaths
