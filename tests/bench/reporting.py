"""Figures for people (a table) and for programs (JSON)."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec
from rich.table import Table

from tests.bench.gate import LIMIT, Verdict
from tests.bench.measuring import Measured, Spread
from tests.bench.targets import Held, Target

_NOTE = (
    "x = repetitions; the figure is their median; spread = (highest - lowest) / median.\n"
    "Reference: {reference}; ratio = median of ours over the"
    " reference's, repetition by repetition, with its lowest and highest.\nA target in seconds,"
    " milliseconds or bytes is judged at the full size only."
    " `--details` and `--json` show all figures."
)
_REFERENCE = "NautilusTrader {version}, backtest engine in memory"


def machine() -> dict[str, Any]:
    """What a figure depends on, without the machine's name."""
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": platform.system(),
        "processors": os.cpu_count(),
    }


def reference() -> str | None:
    """What ours is measured beside; None where it is not installed."""
    try:
        return _REFERENCE.format(version=version("nautilus-trader"))
    except PackageNotFoundError:
        return None


def as_json(done: Sequence[Measured], *, quick: bool, verdict: Verdict | None = None) -> str:
    """One document with every value of every repetition."""
    document = {
        "machine": machine(),
        "quick": quick,
        "reference": reference(),
        "workloads": {item.workload.name: _workload(item) for item in done},
        "gate": None
        if verdict is None
        else {"ratio": verdict.ratio, "limit": LIMIT, "passed": verdict.passed},
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def _workload(item: Measured) -> dict[str, Any]:
    return {
        "about": item.workload.about,
        "size": item.size,
        "figures": {name: _plain(spread) for name, spread in item.figures.items()},
        "reference": {name: _plain(spread) for name, spread in item.reference.items()},
        "ratios": {name: _plain(spread) for name, spread in item.ratios.items()},
        "targets": [
            {"figure": target.figure, "target": target.text, "met": held(item, target)}
            for target in item.workload.targets
        ],
    }


def _plain(spread: Spread) -> dict[str, Any]:
    return {
        "median": spread.median,
        "low": spread.low,
        "high": spread.high,
        "spread_pct": round(spread.spread_pct, 1),
        "values": list(spread.values),
    }


def held(item: Measured, target: Target) -> bool | None:
    """Whether a target is met; None where this run cannot tell."""
    if target.held is Held.RATIO_AT_LEAST:
        ratio = item.ratios.get(target.figure)
        return None if ratio is None else target.met_by(ratio.median)
    return target.met_by(item.figures[target.figure].median) if item.full else None


def as_table(done: Sequence[Measured], *, quick: bool, details: bool = False) -> Table:
    """A figure a line: the headlines of each workload, and with `details` the others after them."""
    where = machine()
    table = Table(
        title=f"Holdfast, {'quick sizes' if quick else 'full sizes'}: Python {where['python']}, "
        f"SQLite {where['sqlite']}, {where['processors']} processors",
        caption=_NOTE.format(reference=reference() or "not installed"),
        caption_justify="left",
    )
    for title in ("workload", "figure"):
        table.add_column(title, no_wrap=True)
    for title in ("median", "lowest", "highest", "spread", "reference", "ratio"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("target", no_wrap=True)
    for item in done:
        headline = item.workload.headline
        rest = [name for name in item.figures if details and name not in headline]
        names = [*headline, *rest]
        for line, name in enumerate(names):
            spread = item.figures[name]
            table.add_row(
                f"{item.workload.name} ({item.size:,}, {len(spread.values)} x)"
                if line == 0
                else "",
                name,
                *(number(value) for value in (spread.median, spread.low, spread.high)),
                f"{spread.spread_pct:.0f} %",
                number(item.reference[name].median) if name in item.reference else "",
                _ratio(item.ratios.get(name)),
                _target(item, name),
                style="bold" if name in headline else "dim",
                end_section=line == len(names) - 1,
            )
    return table


def _ratio(spread: Spread | None) -> str:
    return "" if spread is None else f"{spread.median:.2f} ({spread.low:.2f}-{spread.high:.2f})"


_VERDICTS = {True: "met", False: "MISSED", None: "not judged"}


def _target(item: Measured, figure: str) -> str:
    return ", ".join(
        f"{target.text} {_VERDICTS[held(item, target)]}"
        for target in item.workload.targets
        if target.figure == figure
    )


def number(value: float) -> str:
    """Three significant places below a hundred, thousands separated above."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
