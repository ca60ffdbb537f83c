"""The state document: one shape for `status`, the scenarios and the service (CONTRACT).

Orders and positions come from the projections, everything else from the folded books, both from
durable facts. What only a running service knows (ages, lags, lanes) comes as `Live`.
"""

from __future__ import annotations

import json
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import field, frozen

from actors.entities.account import proposals
from actors.guards.desk import latch_view
from actors.reconciling.link import Link
from actors.recording.looking_back import NOBODY
from actors.registry import Books
from fsm.figures import SessionFigures
from fsm.money import plain
from fsm.order import OrderState
from fsm.pnl import Holding, unrealized
from fsm.timestamps import SECOND_US, iso_utc
from storage.account_view import unrealized_pnl
from storage.journal import Head

Document = dict[str, Any]


@frozen(slots=True, kw_only=True)
class Live:
    """Figures that are not in the journal; None everywhere when no service is running."""

    now_us: int
    sent: dict[str, int] = field(factory=dict)
    connected: bool = False
    writer_lag_ms: float = 0.0
    alerts: dict[str, int] = field(factory=dict)
    lanes: list[dict[str, Any]] = field(factory=list)
    services: dict[str, dict[str, Any]] = field(factory=dict)
    ignored: int = 0
    duplicates: int = 0
    restarts: int = 0
    recorder: dict[str, Any] = field(factory=dict)
    backup: dict[str, Any] = field(factory=dict)
    guards: dict[str, dict[str, Any]] = field(factory=dict)
    """Each guard's own view: value, threshold, distance, observations."""


def state_document(
    books: Books,
    conn: sqlite3.Connection,
    head: Head,
    *,
    live: Live | None = None,
    everything: bool = False,
) -> Document:
    """The whole document. `conn` reads the projections; without `everything` only this session's
    terminal orders and closed positions are included."""
    session_id = books.world.session.session_id
    return {
        "mode": _mode(books),
        "session": _session(books, live),
        "orders": _orders(conn, session_id, everything),
        "positions": _positions(books, conn, session_id, everything),
        "account": _account(books),
        "guards": _guards(books, live),
        "assertions": {},
        "feeds": _feeds(books, live),
        "venue": _venue(books, live),
        "journal": _journal(head, conn, live),
        "sent": {"submit": 0, "cancel": 0} | (live.sent if live else {}),
        "counters": _counters(books, live),
        "lanes": live.lanes if live else [],
        "services": live.services if live else {},
        "recorder": (live.recorder if live else {}) or {"state": NOBODY},
    }


def _mode(books: Books) -> Document:
    mode = books.mode
    return {
        "state": str(mode.state),
        "sources": [
            {"source": s.source, "condition": s.condition, "since": iso_utc(s.since_us)}
            for s in mode.sources.values()
        ],
        "control": str(mode.control),
        "halt_reason": mode.halt_reason,
        "episodes": dict(mode.episodes),
    }


_FLAGS = ("cooling", "quarantined")


def _guards(books: Books, live: Live | None) -> Document:
    """The guards that are on; without a running engine those that ever tripped."""
    views: dict[str, dict[str, Any]] = live.guards if live else {name: {} for name in books.latches}
    return {
        name: latch_view(books.latches.of(name), **{flag: view.get(flag, False) for flag in _FLAGS})
        | {key: value for key, value in view.items() if key not in _FLAGS}
        for name, view in views.items()
    }


def _session(books: Books, live: Live | None) -> Document:
    session = books.world.session
    uptime = (
        max(live.now_us - session.started_at_us, 0) / SECOND_US
        if live and session.session_id
        else None
    )
    return {
        "id": session.session_id or None,
        "mode": str(session.mode),
        "started_at": iso_utc(session.started_at_us) if session.session_id else None,
        "uptime_s": uptime,
        "holder": session.holder or None,
        "epoch": None,
        "figures": figures_document(books.world.account.session),
    }


def figures_document(figures: SessionFigures) -> Document:
    """A session's figures under the names of the table `sessions`."""
    return {
        name: plain(value) if isinstance(value, Decimal) else value
        for name, value in figures.columns().items()
    }


_ORDER_COLUMNS = (
    "client_order_id",
    "state",
    "role",
    "mode",
    "session_id",
    "strategy",
    "position_id",
    "venue_order_id",
    "instrument",
    "side",
    "type",
    "qty",
    "limit_price",
    "filled_qty",
    "avg_price",
    "provisional_qty",
    "fees",
    "slippage_quote",
    "reason",
    "flags",
    "created_at",
    "updated_at",
    "cancelled_at",
    "cancel_reason",
)
_TERMINAL = "('FILLED','CANCELED','REJECTED','EXPIRED')"


def _orders(conn: sqlite3.Connection, session_id: str, everything: bool) -> Document:
    sql = f"SELECT {','.join(_ORDER_COLUMNS)} FROM orders"
    if not everything:
        sql += f" WHERE session_id = ? OR state NOT IN {_TERMINAL}"
    rows = conn.execute(sql + " ORDER BY rowid", () if everything else (session_id,))
    return {row[0]: _row(_ORDER_COLUMNS[1:], row[1:]) for row in rows}


def _row(columns: tuple[str, ...], values: tuple[Any, ...]) -> Document:
    row = dict(zip(columns, values, strict=True))
    row["flags"] = json.loads(row.get("flags") or "[]")
    return row


_POSITION_COLUMNS = (
    "position_id",
    "state",
    "mode",
    "instrument",
    "side",
    "qty",
    "entry_qty",
    "exit_qty",
    "basis_price",
    "stop",
    "take_profit",
    "trailing",
    "realized_pnl",
    "fees",
    "pnl_source",
    "exit_reason",
    "flags",
    "strategy",
    "session_id",
    "opened_at",
    "closed_at",
)


def _positions(
    books: Books, conn: sqlite3.Connection, session_id: str, everything: bool
) -> Document:
    sql = f"SELECT {','.join(_POSITION_COLUMNS)} FROM positions"
    if not everything:
        sql += " WHERE session_id = ? OR state NOT IN ('CLOSED','CANCELLED_BY_ENGINE')"
    rows = conn.execute(sql + " ORDER BY rowid", () if everything else (session_id,))
    return {row[0]: _position(books, _row(_POSITION_COLUMNS[1:], row[1:])) for row in rows}


def _position(books: Books, row: Document) -> Document:
    qty = Decimal(row["qty"])
    basis = Decimal(row["basis_price"]) if row["basis_price"] is not None else None
    quote = books.world.quote(row["instrument"])
    mark = None if quote is None or qty == 0 else quote.bid if qty > 0 else quote.ask
    row["mark_price"] = None if mark is None else plain(mark)
    row["unrealized_pnl"] = plain(unrealized(Holding(qty, basis), mark))
    return row


def _account(books: Books) -> Document:
    world, view = books.world, books.world.account
    open_pnl = unrealized_pnl(view.open, world.quote)
    deltas = books.reconciler.truth.deltas if books.reconciler.truth.status == "halt" else {}
    return {
        "capital": plain(view.capital),
        "capital_source": view.capital_source,
        "capital_seq": view.capital_seq,
        "e_wallet_balance": None if view.wallet is None else plain(view.wallet),
        "equity": plain(view.capital + open_pnl),
        "net_basis": plain(view.net_basis),
        "realized_pnl": plain(view.realized_pnl),
        "realized_by": {source: plain(part) for source, part in view.realized_by.items()},
        "realized_provisional": plain(view.realized_provisional),
        "net_pnl": plain(view.net_pnl),
        "unrealized_pnl": plain(open_pnl),
        "unmarked": [name for name in view.open if world.quote(name) is None],
        "fees_paid": plain(view.fees_paid),
        "fees_provisional": plain(view.fees_provisional),
        "funding": plain(view.funding),
        "converted": plain(view.converted),
        "slippage_quote": plain(view.slippage_quote),
        "slippage_provisional": plain(view.slippage_provisional),
        "slippage_unknown_fills": view.slippage_unknown_fills,
        "return_pct": None if view.return_pct is None else plain(view.return_pct),
        "return_note": view.return_note,
        "event_seq": view.event_seq,
        "balances": {
            asset: {"total": plain(b.total), "reserved": plain(b.reserved), "free": plain(b.free)}
            for asset, b in view.balances.items()
        },
        "wac": {asset: plain(price) for asset, price in view.wac.items()},
        "unpriced": {asset: plain(qty) for asset, qty in view.unpriced.items()},
        "margin": {"used": plain(view.margin_used), "free": plain(view.margin_free)},
        "proposals": proposals(deltas, world),
    }


def _feeds(books: Books, live: Live | None) -> Document:
    return {
        name: {
            "age_ms": max(live.now_us - view.seen_at_us, 0) // 1000
            if live and view.ticks
            else None,
            "ticks": view.ticks,
            "trades": view.trades,
            "gaps": view.gaps,
            "out_of_order": view.out_of_order,
            "duplicates": view.duplicates,
        }
        for name, view in books.world.markets.items()
    }


def _venue(books: Books, live: Live | None) -> Document:
    states = [order.state for order in books.world.orders.values()]
    reconciler = books.reconciler
    return {
        "connected": live.connected if live else None,
        "open_orders": reconciler.venue_open_orders,
        "unknown_orders": states.count(OrderState.UNKNOWN),
        "held_orders": states.count(OrderState.HELD_FOR_REVIEW),
        "last_reconcile_at": None
        if reconciler.last_at_us is None
        else iso_utc(reconciler.last_at_us),
        "truth": {"status": reconciler.truth.status, "deltas": dict(reconciler.truth.deltas)},
        "link": _link(reconciler.link),
    }


def _link(link: Link) -> Document:
    """How the venue answers; only a running service knows."""
    return {
        "state": None if link.since_us is None else str(link.state),
        "since": None if link.since_us is None else iso_utc(link.since_us),
        "failures": link.failures,
        "next_try_at": None if link.next_try_us is None else iso_utc(link.next_try_us),
    }


_BACKUP = ("last_at", "last_seq", "folder", "failed")


def _journal(head: Head, conn: sqlite3.Connection, live: Live | None) -> Document:
    path = conn.execute("PRAGMA database_list").fetchone()[2]
    wal = Path(f"{path}-wal") if path else None
    return {
        "seq": head.seq,
        "hash": head.hash.hex(),
        "writer_lag_ms": live.writer_lag_ms if live else None,
        "wal_bytes": wal.stat().st_size if wal is not None and wal.exists() else 0,
        "backup": dict.fromkeys(_BACKUP) | (live.backup if live else {}),
    }


_COUNTERS = (
    "unprocessed",
    "unresolved_facts",
    "duplicates_dropped",
    "ignored_facts",
    "cancel_races",
    "fills_routed_by_state_total",
    "restarts",
    "dead_letters",
    "refused_commands",
)


def _counters(books: Books, live: Live | None) -> Document:
    counters = dict.fromkeys(_COUNTERS, 0) | books.counters
    counters["unresolved_open"] = sum(len(seqs) for seqs in books.unresolved.values())
    if live is not None:
        counters |= {
            "ignored_facts": live.ignored,
            "duplicates_dropped": live.duplicates,
            "restarts": live.restarts,
        }
    return counters
