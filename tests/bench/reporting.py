"""Figures for people (a table) and for programs (JSON)."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.table import Table

from tests.bench.measuring import Measured, Spread

_NOTE = (
    "Median of {repeat} repetitions; spread = (highest - lowest) / median on a machine that may"
    " have other work.\nNo reference engine yet: NautilusTrader on the same orders comes later."
)


def machine() -> dict[str, Any]:
    """What a figure depends on, without the machine's name."""
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": platform.system(),
        "processors": os.cpu_count(),
    }


def as_json(done: Sequence[Measured], *, quick: bool, repeat: int) -> str:
    """One document with every value of every repetition."""
    document = {
        "machine": machine(),
        "quick": quick,
        "repeat": repeat,
        "reference": None,
        "workloads": {
            item.workload.name: {
                "about": item.workload.about,
                "size": item.size,
                "figures": {name: _plain(spread) for name, spread in item.figures.items()},
            }
            for item in done
        },
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def _plain(spread: Spread) -> dict[str, Any]:
    return {
        "median": spread.median,
        "low": spread.low,
        "high": spread.high,
        "spread_pct": round(spread.spread_pct, 1),
        "values": list(spread.values),
    }


def as_table(done: Sequence[Measured], *, quick: bool, repeat: int) -> Table:
    """A figure a line: the headlines of each workload first."""
    where = machine()
    table = Table(
        title=f"Holdfast, {'quick sizes' if quick else 'full sizes'}: Python {where['python']}, "
        f"SQLite {where['sqlite']}, {where['processors']} processors",
        caption=_NOTE.format(repeat=repeat),
        caption_justify="left",
    )
    for title in ("workload", "figure"):
        table.add_column(title, no_wrap=True)
    for title in ("median", "lowest", "highest", "spread"):
        table.add_column(title, justify="right", no_wrap=True)
    for item in done:
        headline = item.workload.headline
        names = [*headline, *(name for name in item.figures if name not in headline)]
        for line, name in enumerate(names):
            spread = item.figures[name]
            table.add_row(
                f"{item.workload.name} ({item.size:,})" if line == 0 else "",
                name,
                *(number(value) for value in (spread.median, spread.low, spread.high)),
                f"{spread.spread_pct:.0f} %",
                style="bold" if name in headline else "dim",
                end_section=line == len(names) - 1,
            )
    return table


def number(value: float) -> str:
    """Three significant places below a hundred, thousands separated above."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
