"""What a workload is, and the repetitions with their median and spread. No engine in here.

A workload gets an empty folder on a real disk and a size, does its own preparation outside of what
it times, and returns figures by name. The unit is in the name (`orders_per_s`, `p99_ms`).
"""

from __future__ import annotations

import gc
import statistics
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import frozen

Figures = dict[str, float]


@frozen(kw_only=True)
class Workload:
    """One thing that is measured. `run(folder, size)` returns its figures."""

    name: str
    about: str
    size: int
    quick_size: int
    headline: tuple[str, ...]
    """The figures that the table shows first; the others follow in smaller print."""
    run: Callable[[Path, int], Figures]


@frozen(kw_only=True)
class Spread:
    """One figure over all repetitions."""

    median: float
    low: float
    high: float
    values: tuple[float, ...]

    @property
    def spread_pct(self) -> float:
        """High minus low, in percent of the median: what this machine's noise makes of it."""
        return 100 * (self.high - self.low) / self.median if self.median else 0.0


@frozen(kw_only=True)
class Measured:
    """A workload's figures over all repetitions."""

    workload: Workload
    size: int
    figures: Mapping[str, Spread]


def spread_of(values: list[float]) -> Spread:
    """Median, lowest and highest of at least one value."""
    return Spread(
        median=statistics.median(values), low=min(values), high=max(values), values=tuple(values)
    )


def measure(
    workload: Workload, *, quick: bool, repeat: int, folder: Path | None = None
) -> Measured:
    """Run a workload several times, each in a new folder below `folder` (default: the temporary
    directory; name one on a real disk where that is memory)."""
    assert repeat >= 1, f"repeat must be at least 1, not {repeat}"
    size = workload.quick_size if quick else workload.size
    runs: list[Figures] = []
    for _ in range(repeat):
        gc.collect()
        with tempfile.TemporaryDirectory(prefix="holdfast-bench-", dir=folder) as place:
            runs.append(workload.run(Path(place), size))
    assert all(run.keys() == runs[0].keys() for run in runs), "a figure is missing in some run"
    return Measured(
        workload=workload,
        size=size,
        figures={name: spread_of([run[name] for run in runs]) for name in runs[0]},
    )
