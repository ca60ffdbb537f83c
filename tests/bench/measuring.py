"""What a workload is, and its repetitions, ours and the reference in turn. No engine in here.

A workload gets an empty folder on a real disk and a size, does its own preparation outside of what
it times, and returns figures by name. The unit is in the name (`orders_per_s`, `p99_ms`).

Each repetition is a process of its own, so that none finds another's memory, frozen objects or
threads, and the reference follows ours at once: a ratio is taken pair by pair, because the speed of
a shared machine drifts within a run.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import frozen

from tests.bench.targets import Target

Figures = dict[str, float]
_SECONDS_MAX = 3_600
_ROOT = Path(__file__).resolve().parent.parent.parent
OURS, REFERENCE = "tests.bench.once", "tests.bench.reference"


class WorkloadFailed(Exception):
    """A repetition ended without figures; the message says which, and its last words."""


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
    compared: tuple[str, ...] = ()
    """Figures that the reference has too: it runs after each of our repetitions."""
    same: tuple[str, ...] = ()
    """Figures that must be equal on both sides: what was traded, so that like meets like."""
    targets: tuple[Target, ...] = ()
    repeat_max: int = 100
    """Long ones run less often than asked for."""
    repeat_quick: int = 1
    """How often with `--quick`, which must be short: only what the gate is about runs again."""
    in_quick: bool = True
    by_default: bool = True
    """False: only when it is named, or by `--growth`."""


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
    """A workload's figures over all repetitions, the reference's, and the ratios of the pairs."""

    workload: Workload
    size: int
    figures: Mapping[str, Spread]
    reference: Mapping[str, Spread]
    ratios: Mapping[str, Spread]
    """Ours over the reference's, for each figure of `workload.compared`."""

    @property
    def full(self) -> bool:
        """Whether the size is the one that targets are about."""
        return self.size >= self.workload.size


def spread_of(values: list[float]) -> Spread:
    """Median, lowest and highest of at least one value."""
    return Spread(
        median=statistics.median(values), low=min(values), high=max(values), values=tuple(values)
    )


def measure(
    workload: Workload,
    *,
    quick: bool,
    repeat: int,
    folder: Path | None = None,
    reference: bool = True,
) -> Measured:
    """Run a workload several times, each in a new folder below `folder` (default: the temporary
    directory; name one on a real disk where that is memory).

    Raises WorkloadFailed when a repetition ends without figures, or when the two sides did not do
    the same.
    """
    assert repeat >= 1, f"repeat must be at least 1, not {repeat}"
    size = workload.quick_size if quick else workload.size
    ours: list[Figures] = []
    theirs: list[Figures] = []
    for _ in range(min(repeat, workload.repeat_max)):
        with tempfile.TemporaryDirectory(prefix="holdfast-bench-", dir=folder) as place:
            ours.append(_in_a_process(OURS, workload.name, size, Path(place)))
        if reference and workload.compared:
            theirs.append(_in_a_process(REFERENCE, workload.name, size, None))
            _did_the_same(workload, ours[-1], theirs[-1])
    assert all(run.keys() == ours[0].keys() for run in ours), "a figure is missing in some run"
    return Measured(
        workload=workload,
        size=size,
        figures=_spreads(ours),
        reference=_spreads(theirs),
        ratios=_spreads(
            [
                {name: our[name] / their[name] for name in workload.compared}
                for our, their in zip(ours, theirs, strict=False)
            ]
        ),
    )


def _spreads(runs: list[Figures]) -> dict[str, Spread]:
    return {name: spread_of([run[name] for run in runs]) for name in (runs[0] if runs else ())}


def _in_a_process(module: str, name: str, size: int, place: Path | None) -> Figures:
    """One repetition; its last line on standard output is its figures."""
    command = [sys.executable, "-m", module, name, str(size), *([str(place)] if place else [])]
    try:
        ended = subprocess.run(
            command, cwd=_ROOT, capture_output=True, text=True, timeout=_SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise WorkloadFailed(f"{name}: no figures after {_SECONDS_MAX} s ({module})") from late
    if ended.returncode:
        said = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
        raise WorkloadFailed(f"{name}, size {size} ({module}): {said[-1]}")
    figures: Figures = json.loads(ended.stdout.splitlines()[-1])
    return figures


def _did_the_same(workload: Workload, ours: Figures, theirs: Figures) -> None:
    for name in workload.same:
        if ours[name] != theirs[name]:
            raise WorkloadFailed(
                f"{workload.name}: {name} is {ours[name]} here and {theirs[name]} in the"
                " reference, so their speeds cannot be compared"
            )
