"""Tables of the database and their migrations: additive, nullable, idempotent, by sqlite-utils.

Two kinds of tables. The *record* (`journal`, `dedup_keys`, `identities`) is what happened and is
never rewritten. *Projections* are derived from it, may be dropped, and are rebuilt identically.
Every table and column here is described in docs/reference/tables.md; a test fails otherwise.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from sqlite_utils import Database

#: Projection table -> (columns, primary key, about). TEXT holds decimals and ISO times.
PROJECTIONS: dict[str, tuple[dict[str, type], str | tuple[str, ...], str]] = {
    "sessions": (
        {
            "session_id": str,
            "mode": str,
            "venue": str,
            "holder": str,
            "recovery": int,
            "started_at": str,
            "ended_at": str,
            "halt_reason": str,
            "clean": int,
            "truth": str,
            "version": str,
            "seed": int,
            "orders": int,
            "fills": int,
            "positions_closed": int,
            "ticks": int,
            "realized_pnl": str,
            "fees": str,
            "funding": str,
            "converted": str,
            "net_pnl": str,
            "slippage_quote": str,
            "slippage_unknown_fills": int,
            "return_pct": str,
            "return_note": str,
            "basis": str,
            "net_basis": str,
            "realized_exchange": str,
            "realized_estimate": str,
            "realized_inferred": str,
            "realized_provisional": str,
            "fees_provisional": str,
            "slippage_provisional": str,
        },
        "session_id",
        "one row a session of a holder, written at its start and completed at its end",
    ),
    "orders": (
        {
            "client_order_id": str,
            "state": str,
            "role": str,
            "mode": str,
            "session_id": str,
            "strategy": str,
            "position_id": str,
            "signal_id": str,
            "venue_order_id": str,
            "instrument": str,
            "side": str,
            "type": str,
            "qty": str,
            "limit_price": str,
            "reduce_only": int,
            "filled_qty": str,
            "avg_price": str,
            "provisional_qty": str,
            "fees": str,
            "slippage_quote": str,
            "reason": str,
            "flags": str,
            "created_at": str,
            "updated_at": str,
            "cancelled_at": str,
            "cancel_reason": str,
            "last_seq": int,
        },
        "client_order_id",
        "one row an order, as it stands after the last projected event",
    ),
    "fills": (
        {
            "fill_id": str,
            "seq": int,
            "trade_id": str,
            "client_order_id": str,
            "position_id": str,
            "session_id": str,
            "instrument": str,
            "side": str,
            "role": str,
            "qty": str,
            "price": str,
            "fee": str,
            "fee_asset": str,
            "status": str,
            "liquidity": str,
            "provenance": str,
            "realized_pnl": str,
            "slippage_quote": str,
            "late": int,
            "venue_time": str,
            "at": str,
        },
        "fill_id",
        "one row an execution; a void changes its status, never removes it",
    ),
    "positions": (
        {
            "position_id": str,
            "state": str,
            "mode": str,
            "session_id": str,
            "instrument": str,
            "side": str,
            "strategy": str,
            "signal_id": str,
            "qty": str,
            "entry_qty": str,
            "exit_qty": str,
            "basis_price": str,
            "stop": str,
            "take_profit": str,
            "trailing": str,
            "expires_at": str,
            "realized_pnl": str,
            "fees": str,
            "pnl_source": str,
            "exit_reason": str,
            "flags": str,
            "opened_at": str,
            "closed_at": str,
            "last_seq": int,
        },
        "position_id",
        "one row a position of any mode",
    ),
    "decisions": (
        {
            "signal_id": str,
            "seq": int,
            "strategy": str,
            "instrument": str,
            "side": str,
            "approved": int,
            "rule": str,
            "checks": str,
            "inputs": str,
            "position_id": str,
            "client_order_id": str,
            "at": str,
        },
        "signal_id",
        "one row a signal with what the risk door made of it",
    ),
    "account_snapshots": (
        {
            "seq": int,
            "session_id": str,
            "reason": str,
            "capital": str,
            "capital_source": str,
            "capital_seq": int,
            "net_basis": str,
            "funding": str,
            "net_pnl": str,
            "slippage_quote": str,
            "realized_provisional": str,
            "realized_pnl": str,
            "fees_paid": str,
            "balances": str,
            "reserved": str,
            "at": str,
        },
        "seq",
        "the published account after each closed position and at each session's end",
    ),
    "capital_events": (
        {
            "seq": int,
            "kind": str,
            "asset": str,
            "amount": str,
            "price": str,
            "value": str,
            "basis_delta": str,
            "net_basis_after": str,
            "equity_before": str,
            "ref": str,
            "who": str,
            "why": str,
            "source_note": str,
            "at": str,
        },
        "seq",
        "capital that came or went by itself, the opening balances among it",
    ),
    "instrument_settlements": (
        {
            "seq": int,
            "instrument": str,
            "payout": str,
            "qty": str,
            "cash": str,
            "asset": str,
            "resolution_id": str,
            "late": int,
            "at": str,
        },
        "seq",
        "one row a payout of an instrument: the account's whole holding of it becomes cash",
    ),
    "circuit_breaker_events": (
        {
            "seq": int,
            "breaker": str,
            "condition": str,
            "triggered_at": str,
            "context": str,
            "session_id": str,
            "source": str,
            "action": str,
            "cooldown_seconds": int,
            "manual_reset_required": int,
            "ended_at": str,
            "outcome": str,
        },
        "seq",
        "one row a trip of a guard, and each time another source led to DEGRADED or HALTED",
    ),
    "reconciler_anomalies": (
        {
            "seq": int,
            "kind": str,
            "client_order_id": str,
            "position_id": str,
            "seen": str,
            "done": str,
            "at": str,
        },
        "seq",
        "what should not have been, what was seen, and what was done",
    ),
    "unresolved_facts": (
        {
            "seq": int,
            "fact": str,
            "payload": str,
            "reason": str,
            "at": str,
            "resolved_at": str,
            "resolved_as": str,
            "who": str,
            "why": str,
        },
        "seq",
        "venue facts that matched nothing and changed nothing, and what became of each",
    ),
    "truth_snapshots": (
        {"seq": int, "status": str, "deltas": str, "detail": str, "at": str},
        "seq",
        "each comparison of the books with the venue's own balances and positions",
    ),
    "feed_gaps": (
        {
            "seq": int,
            "instrument": str,
            "from_time": str,
            "to_time": str,
            "reason": str,
            "lost": int,
        },
        "seq",
        "market data that is missing, with the reason",
    ),
}

INDEXES: dict[str, tuple[tuple[str, ...], ...]] = {
    "orders": (("position_id",), ("session_id",), ("state",)),
    "fills": (("session_id",), ("client_order_id",), ("position_id",)),
    "positions": (("session_id",), ("state",)),
    "decisions": (("position_id",),),
}

PROJECTION_STATE = "projection_state"

#: In backups only: one row that says what the copy holds, so that it can be checked alone.
MANIFEST = "backup_manifest"
MANIFEST_COLUMNS: dict[str, type] = {
    "seq": int,
    "head_hash": str,
    "schema_version": int,
    "made_at": str,
    "holdfast_version": str,
    "reason": str,
    "source": str,
    "venue_sha256": str,
}


class SchemaTooNew(Exception):
    """The database was written by a newer version; this one must not touch it."""


class ForeignDatabase(Exception):
    """An SQLite file that is not ours; it must not be written to."""


def _m1_record(db: Database) -> None:
    db.execute(
        "CREATE TABLE IF NOT EXISTS journal (seq INTEGER PRIMARY KEY, turn INTEGER NOT NULL, "
        "at_us INTEGER NOT NULL, stream TEXT NOT NULL, type TEXT NOT NULL, "
        "payload TEXT NOT NULL, hash BLOB NOT NULL) STRICT"
    )
    db.execute("CREATE INDEX IF NOT EXISTS idx_journal_stream ON journal (stream)")
    db.execute(
        "CREATE TABLE IF NOT EXISTS dedup_keys (key TEXT PRIMARY KEY, seq INTEGER NOT NULL) "
        "STRICT, WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE IF NOT EXISTS identities (venue_order_id TEXT PRIMARY KEY, "
        "client_order_id TEXT NOT NULL, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID"
    )


def _m2_projections(db: Database) -> None:
    renew_projections(db)


def _m3_fill_indexes(db: Database) -> None:
    for table, columns in (("fills", ("session_id",)), ("fills", ("client_order_id",))):
        db[table].create_index(columns, if_not_exists=True)  # type: ignore[union-attr]


def _m4_what_became_of_trips(db: Database) -> None:
    renew_projections(db)


def _m5_ledger(db: Database) -> None:
    renew_projections(db)


MIGRATIONS: tuple[Callable[[Database], None], ...] = (
    _m1_record,
    _m2_projections,
    _m3_fill_indexes,
    _m4_what_became_of_trips,
    _m5_ledger,
)
SCHEMA_VERSION = len(MIGRATIONS)


def renew_projections(db: Database) -> None:
    """Create the projection tables; where one or a column of it is missing, all of them anew and
    empty: what belongs there is in the journal only, and whoever projects next begins at its first
    event."""
    if any(_is_missing(db, name) for name in PROJECTIONS):
        drop_projections(db)
    create_projections(db)


def _is_missing(db: Database, name: str) -> bool:
    if not db[name].exists():
        return True
    existing = {column.name for column in db[name].columns}
    return any(column not in existing for column in PROJECTIONS[name][0])


def create_projections(db: Database) -> None:
    """Create the projection tables that are missing."""
    for name, (columns, pk, _) in PROJECTIONS.items():
        db[name].create(columns, pk=pk, if_not_exists=True, strict=True)  # type: ignore[union-attr]
    db[PROJECTION_STATE].create(  # type: ignore[union-attr]
        {"name": str, "seq": int}, pk="name", if_not_exists=True, strict=True
    )
    for table, indexes in INDEXES.items():
        for columns_of in indexes:
            db[table].create_index(columns_of, if_not_exists=True)  # type: ignore[union-attr]


def drop_projections(db: Database) -> None:
    """Drop every projection; the record is untouched."""
    for name in (*PROJECTIONS, PROJECTION_STATE):
        db[name].drop(ignore=True)


def version_of(conn: sqlite3.Connection) -> int:
    """The schema version that the database says it has (0: empty)."""
    return int(conn.execute("PRAGMA user_version").fetchone()[0])


def check_version(conn: sqlite3.Connection, path: str) -> int:
    """Raise SchemaTooNew when a newer holdfast wrote the database; give its version."""
    version = version_of(conn)
    if version > SCHEMA_VERSION:
        raise SchemaTooNew(
            f"{path}: schema {version} was written by a newer holdfast (this one knows "
            f"{SCHEMA_VERSION}); use the newer version, nothing was changed"
        )
    return version


def migrate(conn: sqlite3.Connection, path: str) -> int:
    """Bring the database up to date, one transaction a step; returns how many steps ran."""
    version = check_version(conn, path)
    db = Database(conn)
    for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
        conn.execute("BEGIN IMMEDIATE")
        try:
            step(db)
            conn.execute(f"PRAGMA user_version = {number}")
        except BaseException:
            conn.execute("ROLLBACK")
            raise
        conn.execute("COMMIT")
    return SCHEMA_VERSION - version
