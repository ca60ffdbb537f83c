"""Frames and files as the exchange and the recorder would write them, small."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from fsm.instrument import Instrument

START_MS = 1_723_161_256_000
#: The recorder's clock is behind the exchange's.
LAG_US = 1_200_000

BTC = Instrument(name="BTC/USDT", base="BTC", quote="USDT", price_tick=Decimal("0.1"))


def combined(stream: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"stream": f"{data.get('s', 'BTCUSDT').lower()}@{stream}", "data": data}


def usdm_book(u: int, ms: int, bid: str = "61800.20", **changes: Any) -> dict[str, Any]:
    data = {"e": "bookTicker", "u": u, "s": "BTCUSDT", "b": bid, "B": "2.507", "a": "61800.30"}
    data |= {"A": "2.510", "T": START_MS + ms, "E": START_MS + ms + 3} | changes
    return combined("bookTicker", data)


def usdm_trade(t: int, ms: int, **changes: Any) -> dict[str, Any]:
    data = {"e": "trade", "E": START_MS + ms + 3, "T": START_MS + ms, "s": "BTCUSDT", "t": t}
    data |= {"p": "61800.30", "q": "0.006", "X": "MARKET", "m": False} | changes
    return combined("trade", data)


def spot_book(u: int, **changes: Any) -> dict[str, Any]:
    data = {"u": u, "s": "BTCUSDT", "b": "61837.63000000", "B": "3.78826000"}
    data |= {"a": "61837.64000000", "A": "1.54698000"} | changes
    return combined("bookTicker", data)


def spot_depth(ms: int) -> dict[str, Any]:
    data = {"e": "depthUpdate", "E": START_MS + ms, "s": "BTCUSDT", "U": 1, "u": 2}
    return combined("depth@100ms", data | {"b": [], "a": []})


def capture_line(frame: object, ms: float) -> str:
    """`frame` as received `ms` after the start by a local clock that runs behind."""
    local_ns = (START_MS * 1_000 - LAG_US + int(ms * 1_000)) * 1_000
    return f"{local_ns} {frame if isinstance(frame, str) else json.dumps(frame)}"


def write(path: Path, lines: list[str]) -> Path:
    """The lines as a file; compressed when the name says so."""
    data = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path
