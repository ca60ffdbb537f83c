"""Small plots of a run for the docs: how the cost of an event grows. Reads a run's JSON document.

Needs matplotlib, which is part of the environment of `scripts/bench`. The same document gives the
same bytes: no date, fixed ids, text as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

_PREFIX = "event_us_"


@frozen
class Plot:
    """One workload's growth, as one file."""

    workload: str
    file: str
    across: str


PLOTS = (
    Plot("growth_actors", "growth-actors.svg", "live actors"),
    Plot("growth_journal", "growth-journal.svg", "events in the journal"),
)


def draw(document: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw what the document has of the growth workloads; returns the files.

    Raises ValueError when it has none of them, ImportError without matplotlib.
    """
    wanted = [plot for plot in PLOTS if plot.workload in document.get("workloads", {})]
    if not wanted:
        names = ", ".join(plot.workload for plot in PLOTS)
        raise ValueError(f"nothing to draw: the run has none of {names} (measure with --growth)")
    return [_draw(plot, document["workloads"][plot.workload], folder) for plot in wanted]


def _draw(plot: Plot, workload: Mapping[str, Any], folder: Path) -> Path:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    points = {
        int(name.removeprefix(_PREFIX)): figure
        for name, figure in workload["figures"].items()
        if name.startswith(_PREFIX)
    }
    counts = sorted(points)
    medians = [points[count]["median"] for count in counts]
    with mpl.rc_context({"svg.hashsalt": plot.workload, "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(4.8, 2.6), layout="constrained")
        axes = figure.subplots()
        lows, highs = ([points[count][end] for count in counts] for end in ("low", "high"))
        axes.fill_between(counts, lows, highs, color="#9db8d9", alpha=0.5, linewidth=0)
        axes.plot(counts, medians, marker="o", color="#1f4e8c")
        axes.axhline(1.5 * medians[0], color="#b03a2e", linestyle="--", linewidth=1)
        axes.text(counts[0], 1.5 * medians[0], "1.5 x the first", color="#b03a2e", va="bottom")
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        axes.set_xlabel(plot.across)
        axes.set_ylabel("processor us an event")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        path = folder / plot.file
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    # Its writer leaves blanks at the ends of lines.
    text = path.read_text(encoding="utf-8")
    path.write_text("".join(f"{line.rstrip()}\n" for line in text.splitlines()), encoding="utf-8")
    return path
