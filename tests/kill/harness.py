"""Runs an engine at full speed against a venue process, kills it, and compares the records.

The venue's own file is the truth: whatever it says was submitted, filled and is held must be what
the books say after a restart, exactly once.
"""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import define, field

from actors.feeds.synthetic import SyntheticMarket
from actors.settings import DEFAULT_INSTRUMENTS
from actors.venues.sim import read_truth
from fsm.market import Tick
from storage.verify import verify

REPOSITORY = Path(__file__).resolve().parents[2]
_START_US = 1_700_000_000_000_000
_SPEED = "60"
_TRADING = """
[engine]
db = "book.db"
[venue]
socket = "venue.sock"
max_in_flight_s = 1
[reconciler]
open_orders_interval_s = 1
balances_interval_s = 2
[risk]
max_position_usd = 50
max_session_loss = 10000
daily_drawdown = 10000
orders_per_minute_max = 100000
"""
_INSTRUMENT = """
[instruments."{name}"]
base = "{base}"
quote = "{quote}"
kind = "{kind}"
price_tick = "{price_tick}"
qty_step = "{qty_step}"
max_leverage = "{max_leverage}"
"""
_STRATEGIES = """
[strategies.always-trade-canary]
instrument = "BTC/USDT"
enabled = {enabled}
every_s = "0.02"
hold_s = "{hold_s}"
stop_bps = "{stop_bps}"
target_bps = "{stop_bps}"
[strategies.momentum]
instrument = "XRP/RLUSD"
enabled = {enabled}
lookback_s = "0.1"
threshold_bps = "1"
pause_s = "0.05"
trailing_bps = "2"
"""


@define(slots=True)
class Outcome:
    """What one round of kill, restart and comparison found."""

    round: int
    killed_after_s: float
    orders: int
    fills: int
    open_positions: int
    problems: list[str] = field(factory=list)


class Rig:
    """One directory with a venue process, a market file, and an engine that can be killed."""

    def __init__(
        self, directory: Path, seed: int, *, speed: str = _SPEED, connects_to: str = "venue.sock"
    ) -> None:
        self.directory, self.rng, self.speed = directory, random.Random(seed), speed
        self.database = directory / "book.db"
        self.truth = directory / "venue.truth"
        _write_market(directory / "market.csv", seed)
        # Half of the rigs hold positions for seconds, so that kills meet open ones.
        hold_s, stop_bps = ("0.1", "2") if seed % 2 else ("5", "500")
        for name, enabled in (("trade.toml", "true"), ("settle.toml", "false")):
            specs = "".join(
                _INSTRUMENT.format(
                    name=s.name,
                    base=s.base,
                    quote=s.quote,
                    kind=s.kind,
                    price_tick=s.price_tick,
                    qty_step=s.qty_step,
                    max_leverage=s.max_leverage,
                )
                for s in DEFAULT_INSTRUMENTS
            )
            text = (
                _TRADING.replace("venue.sock", connects_to)
                + specs
                + _STRATEGIES.format(enabled=enabled, hold_s=hold_s, stop_bps=stop_bps)
            )
            (directory / name).write_text(text)
        self.venue = self._start_venue(seed)

    def _start_venue(self, seed: int) -> subprocess.Popen[bytes]:
        config = {
            "instruments": [_plain(spec) for spec in DEFAULT_INSTRUMENTS],
            "balances": {"USDT": "100000", "RLUSD": "100000"},
            "settings": {"latency_us": 2_000, "latency_jitter_us": 3_000, "taker_fee_bps": "5"},
            "seed": seed,
        }
        (self.directory / "venue.json").write_text(json.dumps(config))
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "actors.venues.sim.server",
                "--socket",
                str(self.directory / "venue.sock"),
                "--truth",
                str(self.truth),
                "--config-json",
                f"@{self.directory / 'venue.json'}",
            ],
            cwd=REPOSITORY,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith(b"listening"), line
        return process

    def engine(self, config: str, *extra: str) -> subprocess.Popen[bytes]:
        """Start `holdfast run` in the directory."""
        env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "actors.cli.main",
                "run",
                "--config",
                config,
                "--data",
                "market.csv",
                "--speed",
                self.speed,
                "--json",
                *extra,
            ],
            cwd=self.directory,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def kill_round(self, number: int) -> Outcome:
        """Trade at full speed, kill -9 at a random moment, restart, settle, compare."""
        before = self._sent()
        engine = self.engine("trade.toml")
        self._wait_until_trading(engine, before)
        pause = self.rng.uniform(0.0, 1.5)
        time.sleep(pause)
        ended, sent = engine.poll(), self._sent()
        engine.send_signal(signal.SIGKILL)
        engine.communicate()
        settled = self.engine("settle.toml", "--for", "4s")
        out, err = settled.communicate(timeout=60)
        outcome = self.compare(number, pause)
        if ended is not None:
            outcome.problems.append(f"the engine ended by itself ({ended}) before the kill")
        if sent <= before:
            outcome.problems.append("nothing was sent before the kill")
        if settled.returncode != 0:
            outcome.problems.append(f"the restart exited {settled.returncode}: {err[-600:]!r}")
        elif json.loads(out)["truth"] not in ("ok", "warn"):
            outcome.problems.append(f"truth after the restart: {json.loads(out)['truth_deltas']}")
        return outcome

    def _wait_until_trading(self, engine: subprocess.Popen[bytes], before: int) -> None:
        """Until the new session has sent an order."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and engine.poll() is None:
            if self._sent() > before:
                return
            time.sleep(0.02)

    def _sent(self) -> int:
        """How many orders the journal says have left."""
        if not self.database.exists():
            return 0
        conn = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        try:
            row = conn.execute("SELECT count(*) FROM journal WHERE type = 'OrderSent'").fetchone()
        except sqlite3.Error:
            return 0
        finally:
            conn.close()
        return int(row[0])

    # ------------------------------------------------------------------------------- comparison

    def compare(self, number: int, pause: float) -> Outcome:
        truth = read_truth(self.truth)
        conn = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        conn.row_factory = sqlite3.Row
        try:
            fills = [dict(row) for row in conn.execute("SELECT * FROM fills")]
            orders = {
                row["client_order_id"]: dict(row) for row in conn.execute("SELECT * FROM orders")
            }
            held = [
                dict(row)
                for row in conn.execute(
                    "SELECT * FROM positions WHERE state NOT IN ('CLOSED', 'CANCELLED_BY_ENGINE')"
                )
            ]
        finally:
            conn.close()
        outcome = Outcome(number, round(pause, 3), len(orders), len(fills), len(held))
        problems = outcome.problems
        problems += _fills_differ(truth.fills, fills)
        problems += [
            f"{order_id} was submitted {count} times"
            for order_id, count in truth.submits.items()
            if count != 1
        ]
        problems += [
            f"the venue has {x}, the books do not" for x in truth.orders if x not in orders
        ]
        problems += _orders_differ(truth.orders, orders)
        problems += _positions_differ(truth.positions, held)
        problems += _inventory_differs(truth.balances, held)
        problems += [
            f"{p['position_id']} is {p['state']} without a stop"
            for p in held
            if p["state"] == "MONITORING" and p["stop"] is None
        ]
        problems += verify(self.database).problems
        return outcome

    def close(self) -> None:
        """End the venue process."""
        self.venue.terminate()
        self.venue.communicate(timeout=20)


def _plain(spec: Any) -> dict[str, Any]:
    return {
        "name": spec.name,
        "base": spec.base,
        "quote": spec.quote,
        "kind": str(spec.kind),
        "price_tick": str(spec.price_tick),
        "qty_step": str(spec.qty_step),
        "max_leverage": str(spec.max_leverage),
    }


def _write_market(path: Path, seed: int) -> None:
    """Twenty minutes of the synthetic market as quotes, so that every run sees the same."""
    market = SyntheticMarket(DEFAULT_INSTRUMENTS, random.Random(seed), _START_US)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["timestamp", "instrument", "bid", "ask", "bid_size", "ask_size"])
        for data in market:
            if data.event_us > _START_US + 1_200_000_000:
                break
            if isinstance(data, Tick):
                cells = (data.bid, data.ask, data.bid_size, data.ask_size)
                rows.writerow(
                    [data.event_us, data.instrument, *("" if c is None else c for c in cells)]
                )


def _fills_differ(truth: Any, booked: list[dict[str, Any]]) -> list[str]:
    problems = []
    counts: dict[tuple[str, str], int] = {}
    for row in booked:
        key = (row["client_order_id"], row["trade_id"])
        counts[key] = counts.get(key, 0) + 1
    theirs = {(fill.client_order_id, fill.trade_id): fill for fill in truth}
    problems += [f"fill {key} is booked {n} times" for key, n in counts.items() if n != 1]
    problems += [
        f"fill {key} of the venue is not in the books" for key in theirs if key not in counts
    ]
    problems += [
        f"fill {key} of the books is not the venue's" for key in counts if key not in theirs
    ]
    for row in booked:
        fill = theirs.get((row["client_order_id"], row["trade_id"]))
        if fill is not None and (
            Decimal(row["qty"]) != fill.qty
            or Decimal(row["price"]) != fill.price
            or Decimal(row["fee"]) != fill.fee
        ):
            problems.append(f"fill {row['fill_id']} differs from the venue's: {row} / {fill}")
    return problems


_SAME = {"filled": "FILLED", "canceled": "CANCELED", "expired": "EXPIRED", "rejected": "REJECTED"}


def _orders_differ(truth: Any, orders: dict[str, dict[str, Any]]) -> list[str]:
    problems = []
    for order_id, theirs in truth.items():
        ours = orders.get(order_id)
        if ours is None:
            continue
        if Decimal(ours["filled_qty"]) != theirs.filled_qty:
            problems.append(
                f"{order_id}: filled {ours['filled_qty']}, the venue says {theirs.filled_qty}"
            )
        if theirs.state == "open" and ours["state"] in _SAME.values():
            problems.append(f"{order_id}: {ours['state']}, the venue has it open")
        expected = _SAME.get(theirs.state)
        if expected is not None and ours["state"] != expected:
            problems.append(f"{order_id}: {ours['state']}, the venue says {theirs.state}")
    for order_id, ours in orders.items():
        if order_id not in truth and ours["state"] not in ("EXPIRED", "CANCELED"):
            problems.append(f"{order_id}: {ours['state']}, the venue never had it")
    return problems


def _positions_differ(truth: Any, held: list[dict[str, Any]]) -> list[str]:
    ours: dict[str, Decimal] = {}
    for row in held:
        if row["instrument"] == "BTC/USDT":
            ours["BTC/USDT"] = ours.get("BTC/USDT", Decimal(0)) + Decimal(row["qty"])
    theirs = {name: _qty(position) for name, position in truth.items()}
    return [
        f"position {name}: the books hold {ours.get(name, 0)}, the venue {theirs.get(name, 0)}"
        for name in sorted(set(ours) | set(theirs))
        if ours.get(name, Decimal(0)) != theirs.get(name, Decimal(0))
    ]


def _inventory_differs(balances: Any, held: list[dict[str, Any]]) -> list[str]:
    """The account opened without XRP: all that it has belongs to open positions."""
    ours = sum(
        (Decimal(row["qty"]) for row in held if row["instrument"] == "XRP/RLUSD"), Decimal(0)
    )
    theirs = Decimal(balances.get("XRP", 0))
    return [] if ours == theirs else [f"XRP: the books hold {ours}, the venue {theirs}"]


def _qty(position: Any) -> Decimal:
    return Decimal(getattr(position, "qty", position))
