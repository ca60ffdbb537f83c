"""Service actors under supervision: one-for-one, with restart intensity and back-off.

A child that dies is restarted alone; its death reaches a watcher as a message. More deaths within
the window than allowed, and it stays down: the watcher is told, and the system degrades.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

import trio
from attrs import define, field, frozen
from loguru import logger


@frozen(slots=True)
class ChildDied:
    """For the watcher: a service actor ended. `given_up` says that it stays down."""

    name: str
    error: str
    restarts: int
    given_up: bool


@frozen(slots=True, kw_only=True)
class Intensity:
    """How many restarts within which window, and how long to wait before each."""

    restarts_max: int = 5
    window_s: float = 30.0
    backoff_initial_s: float = 0.1
    backoff_max_s: float = 5.0


@define(slots=True)
class ChildStatistics:
    """A child's counters."""

    name: str
    running: bool = False
    restarts: int = 0
    last_error: str = ""


@define(slots=True)
class Supervisor:
    """Runs children in a nursery and restarts each by itself."""

    watcher: Callable[[ChildDied], None]
    intensity: Intensity = field(factory=Intensity)
    children: dict[str, ChildStatistics] = field(factory=dict)

    def start(
        self,
        nursery: trio.Nursery,
        name: str,
        run: Callable[[], Awaitable[None]],
        *,
        must_run: bool = False,
    ) -> None:
        """Start a child; `run` must be startable again after it failed. With `must_run`,
        one that ends by itself has died too."""
        self.children[name] = ChildStatistics(name)
        nursery.start_soon(self._keep, name, run, must_run, name=name)

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]], must_run: bool) -> None:
        child = self.children[name]
        deaths: deque[float] = deque()
        while True:
            child.running = True
            try:
                await run()
            except Exception as problem:
                # Recorded in the child's statistics, logged, and sent to the watcher.
                child.last_error = f"{type(problem).__name__}: {problem}"
                logger.opt(exception=problem).error("SERVICE_DIED name={}", name)
            else:
                child.running = False
                if not must_run:
                    return
                child.last_error = "it ended by itself"
            child.running = False
            now = trio.current_time()
            deaths.append(now)
            while deaths and deaths[0] < now - self.intensity.window_s:
                deaths.popleft()
            given_up = len(deaths) > self.intensity.restarts_max
            self.watcher(ChildDied(name, child.last_error, child.restarts, given_up))
            if given_up:
                return
            pause = self.intensity.backoff_initial_s * 2 ** (len(deaths) - 1)
            await trio.sleep(min(pause, self.intensity.backoff_max_s))
            child.restarts += 1
