"""The venue's own file: a SQLite database that outlives the engine, and the venue too.

Written before the venue answers, one transaction per `advance`. `synchronous=OFF` with a
write-ahead log: a killed process loses nothing that was answered (the kernel has it); power loss is
out of scope. Memory is bounded: only open orders are held, all else is looked up in the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from actors.venues.sim.funds import SimPosition
from actors.venues.sim.orders import SimOrder
from actors.venues.sim.store import VenueState, page_end
from fsm.facts import FillsPage, FundingPaid, OrderFill
from fsm.money import plain
from fsm.vocabulary import Liquidity, OrderType, Side

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    client_order_id TEXT PRIMARY KEY, number INTEGER NOT NULL, venue_order_id TEXT NOT NULL,
    instrument TEXT NOT NULL, side TEXT NOT NULL, type TEXT NOT NULL, qty TEXT NOT NULL,
    limit_price TEXT, reduce_only INTEGER NOT NULL, leverage TEXT NOT NULL,
    created_us INTEGER NOT NULL, target TEXT NOT NULL, filled_qty TEXT NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL, closing TEXT NOT NULL, queue_ahead TEXT NOT NULL,
    submits INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS orders_open ON orders(number) WHERE state = 'open';
CREATE TABLE IF NOT EXISTS fills (
    number INTEGER PRIMARY KEY, trade_id TEXT NOT NULL, client_order_id TEXT NOT NULL,
    venue_order_id TEXT NOT NULL, instrument TEXT NOT NULL, side TEXT NOT NULL, qty TEXT NOT NULL,
    price TEXT NOT NULL, fee TEXT NOT NULL, fee_asset TEXT NOT NULL, liquidity TEXT NOT NULL,
    order_price TEXT, realized_pnl TEXT, venue_us INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS fills_time ON fills(instrument, venue_us, number);
CREATE TABLE IF NOT EXISTS funding (
    number INTEGER PRIMARY KEY, funding_id TEXT NOT NULL, instrument TEXT NOT NULL,
    amount TEXT NOT NULL, venue_us INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS balances (asset TEXT PRIMARY KEY, total TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS positions (
    instrument TEXT PRIMARY KEY, qty TEXT NOT NULL, avg_price TEXT NOT NULL,
    leverage TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""

_META = ("order_number", "trade_number", "funding_number", "now_us")
_COUNTER = "counter:"
_ROWS_MAX = 500
_FILL_COLUMNS = (
    "trade_id, client_order_id, venue_order_id, instrument, side, qty, price, fee, fee_asset,"
    " liquidity, order_price, realized_pnl, venue_us"
)

Row = tuple[str | int | None, ...]


class VenueTruth:
    """SQLite backend of the venue's `Store`. One venue process per file.

    Raises sqlite3.Error when the file cannot be opened or written, ValueError when it was made by
    a newer version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._db = sqlite3.connect(self.path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            self._db.close()
            raise ValueError(
                f"{self.path}: venue truth of version {version}, we know up to {SCHEMA_VERSION}"
            )
        self._db.executescript(SCHEMA)
        self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        self._orders: dict[str, SimOrder] = {}
        self._fills: list[Row] = []
        self._funding: list[Row] = []
        self._in_transaction = False

    # ------------------------------------------------------------------------------ reading

    def restore(self) -> VenueState | None:
        """The state at the last commit, or None for a new file."""
        meta: dict[str, int] = dict(self._db.execute("SELECT key, value FROM meta"))
        if not meta:
            return None
        balances = self._db.execute("SELECT asset, total FROM balances ORDER BY rowid")
        positions = self._db.execute(
            "SELECT instrument, qty, avg_price, leverage FROM positions ORDER BY rowid"
        )
        orders = self._db.execute("SELECT * FROM orders WHERE state = 'open' ORDER BY number")
        return VenueState(
            orders=[_order(row) for row in orders],
            balances={asset: Decimal(total) for asset, total in balances},
            positions={
                name: SimPosition(Decimal(qty), Decimal(price), Decimal(leverage))
                for name, qty, price, leverage in positions
            },
            counters={
                key.removeprefix(_COUNTER): value
                for key, value in meta.items()
                if key.startswith(_COUNTER)
            },
            **{key: meta[key] for key in _META},
        )

    def find(self, client_order_id: str) -> SimOrder | None:
        """An order by its client id, in whatever state, not yet committed ones included."""
        pending = self._orders.get(client_order_id)
        if pending is not None:
            return pending
        row = self._db.execute(
            "SELECT * FROM orders WHERE client_order_id = ?", (client_order_id,)
        ).fetchone()
        return _order(row) if row else None

    def fills(self, instrument: str, since_us: int, until_us: int, limit: int) -> FillsPage:
        """One page of fills, oldest first."""
        self._flush()
        where = "instrument = ? AND venue_us >= ? AND venue_us <= ?"
        bounds = (instrument, since_us, until_us)
        end_us = self._page_end_us(where, bounds, since_us, limit)
        if end_us is None:
            return FillsPage(fills=())
        rows = self._db.execute(
            f"SELECT {_FILL_COLUMNS} FROM fills WHERE {where} ORDER BY venue_us, number",
            (instrument, since_us, min(until_us, end_us)),
        )
        more = self._db.execute(
            f"SELECT 1 FROM fills WHERE {where} LIMIT 1", (instrument, end_us + 1, until_us)
        )
        return FillsPage(fills=tuple(map(fill_of, rows)), complete=more.fetchone() is None)

    def _page_end_us(self, where: str, bounds: Row, since_us: int, limit: int) -> int | None:
        """The last microsecond of the page that starts at `since_us` (the rule of `page_end`)."""
        times = [
            row[0]
            for row in self._db.execute(
                f"SELECT venue_us FROM fills WHERE {where} ORDER BY venue_us, number LIMIT ?",
                (*bounds, max(limit, 1) + 1),
            )
        ]
        if not times:
            return None
        end_us: int = times[page_end(times, 0, since_us, limit) - 1]
        if end_us == since_us:
            after = self._db.execute(
                f"SELECT min(venue_us) FROM fills WHERE {where} AND venue_us > ?",
                (*bounds, since_us),
            ).fetchone()[0]
            end_us = after if after is not None and len(times) > limit else end_us
        return end_us

    # ------------------------------------------------------------------------------ writing

    def save_order(self, order: SimOrder) -> None:
        """Keep the order as it will be at the next commit."""
        self._orders[order.client_order_id] = order

    def save_fill(self, number: int, fill: OrderFill) -> None:
        """Keep a fill."""
        assert fill.price is not None
        assert fill.side is not None
        self._fills.append(
            (
                number,
                fill.trade_id,
                fill.client_order_id,
                fill.venue_order_id,
                fill.instrument,
                fill.side.value,
                plain(fill.qty),
                plain(fill.price),
                plain(fill.fee),
                fill.fee_asset,
                fill.liquidity.value,
                _text(fill.order_price),
                _text(fill.realized_pnl),
                fill.venue_us,
            )
        )

    def save_funding(self, number: int, funding: FundingPaid) -> None:
        """Keep a funding payment."""
        self._funding.append(
            (
                number,
                funding.funding_id,
                funding.instrument,
                plain(funding.amount),
                funding.venue_us,
            )
        )

    def commit(self, state: VenueState) -> None:
        """Everything since the last commit in one transaction."""
        self._flush()
        self._begin()
        self._insert("balances", [(a, plain(total)) for a, total in state.balances.items()])
        self._insert(
            "positions",
            [
                (name, plain(position.qty), plain(position.avg_price), plain(position.leverage))
                for name, position in state.positions.items()
            ],
        )
        meta: list[Row] = [(key, getattr(state, key)) for key in _META]
        meta += [(_COUNTER + key, value) for key, value in state.counters.items()]
        self._insert("meta", meta)
        self._db.execute("COMMIT")
        self._in_transaction = False

    def close(self) -> None:
        """Close the file; what was not committed never happened."""
        self._db.close()

    def _begin(self) -> None:
        if not self._in_transaction:
            self._db.execute("BEGIN IMMEDIATE")
            self._in_transaction = True

    def _flush(self) -> None:
        """Write what is pending into the open transaction, so that queries see it."""
        if not (self._orders or self._fills or self._funding):
            return
        self._begin()
        self._insert("orders", [_row(order) for order in self._orders.values()])
        self._insert("fills", self._fills)
        self._insert("funding", self._funding)
        self._orders.clear()
        self._fills.clear()
        self._funding.clear()

    def _insert(self, table: str, rows: Sequence[Row]) -> None:
        # One multi-row statement, not executemany: that one gives up the GIL at every row and
        # crawls beside the threads of the engine when both live in one process.
        for start in range(0, len(rows), _ROWS_MAX):
            chunk = rows[start : start + _ROWS_MAX]
            marks = "(" + ",".join("?" * len(chunk[0])) + ")"
            self._db.execute(
                f"INSERT OR REPLACE INTO {table} VALUES " + ",".join([marks] * len(chunk)),
                [value for row in chunk for value in row],
            )


def _text(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _row(order: SimOrder) -> Row:
    return (
        order.client_order_id,
        order.number,
        order.venue_order_id,
        order.instrument,
        order.side.value,
        order.type.value,
        plain(order.qty),
        _text(order.limit_price),
        int(order.reduce_only),
        plain(order.leverage),
        order.created_us,
        plain(order.target),
        plain(order.filled_qty),
        order.state,
        order.reason,
        plain(order.closing),
        plain(order.queue_ahead),
        order.submits,
    )


def _order(row: Sequence[str]) -> SimOrder:
    order = SimOrder(
        client_order_id=row[0],
        number=int(row[1]),
        instrument=row[3],
        side=Side(row[4]),
        type=OrderType(row[5]),
        qty=Decimal(row[6]),
        limit_price=_decimal(row[7]),
        reduce_only=bool(row[8]),
        leverage=Decimal(row[9]),
        created_us=int(row[10]),
        target=Decimal(row[11]),
        filled_qty=Decimal(row[12]),
        state=row[13],
        reason=row[14],
        closing=Decimal(row[15]),
        queue_ahead=Decimal(row[16]),
        submits=int(row[17]),
    )
    assert order.venue_order_id == row[2]
    return order


def fill_of(row: Sequence[str]) -> OrderFill:
    """A row of `_FILL_COLUMNS` as the fact that was sent."""
    return OrderFill(
        trade_id=row[0],
        client_order_id=row[1],
        venue_order_id=row[2],
        instrument=row[3],
        side=Side(row[4]),
        qty=Decimal(row[5]),
        price=Decimal(row[6]),
        fee=Decimal(row[7]),
        fee_asset=row[8],
        liquidity=Liquidity(row[9]),
        order_price=_decimal(row[10]),
        realized_pnl=_decimal(row[11]),
        venue_us=int(row[12]),
    )
