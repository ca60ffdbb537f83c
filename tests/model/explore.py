"""Breadth first through every interleaving, each state once: a violation has the shortest path."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

from attrs import define, field

from tests.model.core import Core
from tests.model.keys import key
from tests.model.laws import (
    as_the_venue_says,
    broken,
    business,
    healing,
    may_be_moved_by_a_failure,
)
from tests.model.steps import Scope, Step, beginning, enabled, perform, serve
from tests.model.venue import Network

_HEALS_WITHIN_TIMERS = 60


@define
class Report:
    """What was seen. `exhausted`: no state of the scope was left out."""

    scope: str
    states: int = 0
    transitions: int = 0
    depth: int = 0
    healings: int = 0
    exhausted: bool = False
    took_s: float = 0.0
    violations: list[str] = field(factory=list)
    path: list[str] = field(factory=list)


class Explorer:
    """One exploration of one scope."""

    def __init__(
        self, scope: Scope, *, states_max: int | None = None, seconds_max: float | None = None
    ) -> None:
        self.scope, self.states_max, self.seconds_max = scope, states_max, seconds_max
        self.report = Report(scope.name)
        self._from: dict[bytes, tuple[bytes | None, str]] = {}
        self._heals: set[bytes] = set()

    def run(self) -> Report:
        """Until everything is seen, a law is broken, or a limit is reached."""
        started, report = time.perf_counter(), self.report
        core, network = beginning(self.scope)
        first = key(core, network)
        self._from[first] = (None, "")
        waiting = deque([(first, core.frozen(), network, 0)])
        while waiting and not report.violations and not self._is_over(started):
            here, copy, network, depth = waiting.popleft()
            for name, after, then in self._follow(here, copy, network):
                if name not in self._from:
                    self._from[name] = (here, str(self._last))
                    waiting.append((name, after.frozen(), then, depth + 1))
                    report.depth = max(report.depth, depth + 1)
                    self._heal(name, after, then)
                if report.violations:
                    break
        report.states = len(self._from)
        report.exhausted = not waiting and not report.violations
        report.took_s = round(time.perf_counter() - started, 1)
        return report

    def _is_over(self, started: float) -> bool:
        if self.states_max is not None and len(self._from) >= self.states_max:
            return True
        return self.seconds_max is not None and time.perf_counter() - started > self.seconds_max

    def _follow(
        self, here: bytes, copy: object, network: Network
    ) -> Iterator[tuple[bytes, Core, Network]]:
        """Every state one step from here, also those of a process killed during the step."""
        core = Core.thawed(copy)  # type: ignore[arg-type]
        steps, calm = enabled(core, network), not may_be_moved_by_a_failure(core)
        before = business(core)
        queue = deque([*steps, *([Step("kill")] if network.budget.crashes else [])])
        while queue:
            step = queue.popleft()
            core = Core.thawed(copy)  # type: ignore[arg-type]
            after, then = perform(core, network, step)
            self.report.transitions += 1
            self._last = step
            kept = before if step.what == "unavailable" and calm and step.dies is None else None
            found = broken(after, then, step, kept)
            if found:
                self._blame(found, [*self._path(here), str(step)])
            yield key(after, then), after, then
            if network.budget.crashes and step.dies is None:
                for number in range(1, core.journal.committed + 1):
                    queue += [Step(step.what, step.on, step.age, (number, True))]
                    queue += (
                        [Step(step.what, step.on, step.age, (number, False))] if number > 1 else []
                    )

    def _heal(self, here: bytes, core: Core, network: Network) -> None:
        """Let time pass beside a venue that is well, until the state repeats itself or is known to
        end well. The core is used up. Where fills are inferred there is no such end: an inference
        may stand for ever for want of evidence."""
        if self.scope.rules.assume_fill_when_young:
            return
        chain: dict[bytes, None] = {}
        network = healing(core, network)
        for _ in range(_HEALS_WITHIN_TIMERS):
            name = key(core, network)
            if name in self._heals:
                break
            if name in chain:
                found = as_the_venue_says(core, network)
                if found:
                    self._blame(found, self._path(here))
                break
            chain[name] = None
            core.let_time_pass()
            network = serve(core, network)
        else:
            self._blame(["after healing: it does not come to rest"], self._path(here))
        self.report.healings += bool(chain)
        self._heals |= chain.keys()

    def _blame(self, found: list[str], path: list[str]) -> None:
        if not self.report.violations:
            self.report.violations, self.report.path = found, path

    def _path(self, here: bytes) -> list[str]:
        path: list[str] = []
        name: bytes | None = here
        while name is not None:
            name, text = self._from[name]
            path.append(text)
        return [text for text in reversed(path) if text]
