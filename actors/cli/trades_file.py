"""The file of `control resolve --trades`: the venue's trades of one order, as CSV with a header.

Columns `trade_id, qty, price`, optionally `fee, fee_asset, timestamp`; upper and lower case alike.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from actors.cli.options import UNAVAILABLE, USAGE, CommandFailed
from fsm.money import decimal_from, plain

_NEEDED, _KNOWN = ("trade_id", "qty", "price"), ("fee", "fee_asset", "timestamp")


def read_trades(path: Path) -> list[dict[str, Any]]:
    """One object a row, for the request. Raises CommandFailed with file, line and column."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _rows(path, csv.reader(file, strict=True))
    except OSError as problem:
        raise CommandFailed(f"{path}: cannot be read: {problem.strerror}", UNAVAILABLE) from problem
    except (UnicodeDecodeError, csv.Error) as problem:
        raise CommandFailed(f"{path}: not a CSV file: {problem}", USAGE) from problem


def _rows(path: Path, reader: Any) -> list[dict[str, Any]]:
    header = [name.strip().lower() for name in next(reader, [])]
    missing = [name for name in _NEEDED if name not in header]
    unknown = [name for name in header if name not in (*_NEEDED, *_KNOWN)]
    if missing or unknown or len(set(header)) != len(header):
        wrong = f"no column {missing[0]}" if missing else f"column {', '.join(unknown) or header}"
        raise CommandFailed(
            f"{path}:1: {wrong}: the header is {', '.join(_NEEDED)} and, if known, "
            f"{', '.join(_KNOWN)}",
            USAGE,
        )
    found = [
        _row(path, reader.line_num, dict(zip(header, row, strict=False)), row)
        for row in reader
        if row
    ]
    if not found:
        raise CommandFailed(f"{path}: no trade in it", USAGE)
    return found


def _row(path: Path, line: int, cells: dict[str, str], row: list[str]) -> dict[str, Any]:
    from actors.feeds.timestamps import timestamp_us

    found: dict[str, Any] = {"trade_id": cells.get("trade_id", "").strip()}
    column = "trade_id"
    try:
        if not found["trade_id"]:
            raise ValueError("is empty")
        for column in ("qty", "price", "fee"):
            text = cells.get(column, "").strip()
            if text or column in ("qty", "price"):
                found[column] = plain(decimal_from(text))
        if cells.get("fee_asset", "").strip():
            found["fee_asset"] = cells["fee_asset"].strip()
        column = "timestamp"
        if cells.get(column, "").strip():
            found["venue_us"] = timestamp_us(cells[column].strip())
    except (ValueError, ArithmeticError) as problem:
        raise CommandFailed(f"{path}:{line}: {column}: {problem}", USAGE) from problem
    return found
