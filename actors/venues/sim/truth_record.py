"""Reading a venue's truth from another process, read-only, to compare books with it."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

from attrs import frozen

from fsm.vocabulary import Side


@frozen(slots=True, kw_only=True)
class TruthOrder:
    """An order that reached the venue. `state`: open, filled, canceled, expired, rejected."""

    client_order_id: str
    venue_order_id: str
    instrument: str
    side: Side
    qty: Decimal
    filled_qty: Decimal
    state: str
    reason: str


@frozen(slots=True, kw_only=True)
class TruthFill:
    """An execution at the venue; `fee` is a cost in `fee_asset`."""

    trade_id: str
    client_order_id: str
    instrument: str
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    realized_pnl: Decimal | None
    venue_us: int


@frozen(slots=True, kw_only=True)
class TruthPosition:
    """A margined position; `qty` carries the sign."""

    qty: Decimal
    avg_price: Decimal


@frozen(slots=True, kw_only=True)
class TruthFunding:
    """A funding payment in the quote asset, positive when received."""

    funding_id: str
    instrument: str
    amount: Decimal
    venue_us: int


@frozen(slots=True, kw_only=True)
class TruthRecord:
    """Everything the venue knows, at one moment.

    `orders` and `submits` are keyed by client order id; `submits` counts the submit requests that
    reached the venue with it (anything above 1 is an order sent twice). `positions` is keyed by
    instrument and leaves flat ones out. `fills` and `funding` are oldest first.
    """

    orders: dict[str, TruthOrder]
    fills: tuple[TruthFill, ...]
    funding: tuple[TruthFunding, ...]
    balances: dict[str, Decimal]
    positions: dict[str, TruthPosition]
    submits: dict[str, int]
    counters: dict[str, int]


def read_truth(path: str | Path) -> TruthRecord:
    """The venue's truth as of its last commit, from a live file or one left behind.

    Raises FileNotFoundError when there is no file, sqlite3.Error when it is not a venue's truth.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"no venue truth at {path}")
    db = sqlite3.connect(
        f"file:{quote(str(Path(path).absolute()))}?mode=ro", uri=True, isolation_level=None
    )
    try:
        db.execute("BEGIN")  # one snapshot for all tables
        return _read(db)
    finally:
        db.close()


def _read(db: sqlite3.Connection) -> TruthRecord:
    orders: dict[str, TruthOrder] = {}
    submits: dict[str, int] = {}
    for row in db.execute(
        "SELECT client_order_id, venue_order_id, instrument, side, qty, filled_qty, state, reason,"
        " submits FROM orders ORDER BY number"
    ):
        submits[row[0]] = row[8]
        orders[row[0]] = TruthOrder(
            client_order_id=row[0],
            venue_order_id=row[1],
            instrument=row[2],
            side=Side(row[3]),
            qty=Decimal(row[4]),
            filled_qty=Decimal(row[5]),
            state=row[6],
            reason=row[7],
        )
    fills = tuple(
        TruthFill(
            trade_id=row[0],
            client_order_id=row[1],
            instrument=row[2],
            side=Side(row[3]),
            qty=Decimal(row[4]),
            price=Decimal(row[5]),
            fee=Decimal(row[6]),
            fee_asset=row[7],
            realized_pnl=None if row[8] is None else Decimal(row[8]),
            venue_us=row[9],
        )
        for row in db.execute(
            "SELECT trade_id, client_order_id, instrument, side, qty, price, fee, fee_asset,"
            " realized_pnl, venue_us FROM fills ORDER BY number"
        )
    )
    funding = tuple(
        TruthFunding(funding_id=row[0], instrument=row[1], amount=Decimal(row[2]), venue_us=row[3])
        for row in db.execute(
            "SELECT funding_id, instrument, amount, venue_us FROM funding ORDER BY number"
        )
    )
    balances = {asset: Decimal(total) for asset, total in db.execute("SELECT * FROM balances")}
    positions = {
        row[0]: TruthPosition(qty=Decimal(row[1]), avg_price=Decimal(row[2]))
        for row in db.execute("SELECT instrument, qty, avg_price FROM positions")
        if Decimal(row[1])
    }
    counters = {
        key.removeprefix("counter:"): value
        for key, value in db.execute("SELECT key, value FROM meta WHERE key LIKE 'counter:%'")
    }
    return TruthRecord(
        orders=orders,
        fills=fills,
        funding=funding,
        balances=balances,
        positions=positions,
        submits=submits,
        counters=counters,
    )
