"""What each table and column means; `docs/reference/tables.md` is written from here.

A column that is not described, or described and not there, fails a test. Money and quantities are
decimal text, times are ISO 8601 text in UTC with microseconds, flags are 0 or 1.
"""

from __future__ import annotations

from storage.schema import MANIFEST, PROJECTION_STATE, PROJECTIONS

RECORD: dict[str, tuple[str, dict[str, str]]] = {
    "journal": (
        "what happened, one row an event, never changed",
        {
            "seq": "place in the total order, from 1 without gaps",
            "turn": "which turn decided it; a turn commits as a whole",
            "at_us": "when, in microseconds since 1970 UTC",
            "stream": "whose event it is, `order/ID`, `position/ID`, `mode`, ...",
            "type": "the event's type, a class of `fsm/events.py`",
            "payload": "the event as canonical JSON",
            "hash": "SHA-256 over the previous row's hash and this row",
        },
    ),
    "dedup_keys": (
        "venue facts that are booked, committed with their effect",
        {"key": "what makes the fact unique", "seq": "the event that booked it"},
    ),
    "identities": (
        "which of our orders the venue means",
        {
            "venue_order_id": "the venue's name for it",
            "client_order_id": "our name for it",
            "seq": "the event that told",
        },
    ),
    PROJECTION_STATE: (
        "how far the tables below have followed the journal",
        {"name": "always `projections`", "seq": "the last event that they hold"},
    ),
}

#: The one table that only a backup has.
OF_BACKUPS: dict[str, tuple[str, dict[str, str]]] = {
    MANIFEST: (
        "one row, what a backup says of itself",
        {
            "seq": "the last event that it holds",
            "head_hash": "that event's hash, hexadecimal",
            "schema_version": "the schema that the copied database had",
            "made_at": "when it was made",
            "holdfast_version": "the version of holdfast that made it",
            "reason": "`manual`, `scheduled` or `before_migration`",
            "source": "file name of the database",
            "venue_sha256": "SHA-256 of the simulated venue's record beside it; empty without one",
        },
    ),
}

#: Columns that mean the same wherever they stand.
COMMON = {
    "session_id": "the session it belongs to",
    "mode": "`LIVE`, `PAPER`, `DRY_RUN` or `BACKTEST`",
    "instrument": "the instrument's name",
    "side": "`buy` or `sell`",
    "strategy": "the strategy's name, empty for none",
    "position_id": "the position it belongs to",
    "signal_id": "the signal that led to it",
    "client_order_id": "our order id",
    "seq": "the journal event that wrote the row",
    "last_seq": "the last journal event that changed the row",
    "flags": "JSON list of words for what was unusual",
    "at": "time of the event",
    "role": "`entry`, `exit`, `quote` or `external`",
    "state": "the state in its machine, see `docs/fsm`",
}

COLUMNS: dict[str, dict[str, str]] = {
    "sessions": {
        "venue": "the venue's name",
        "holder": "who held the account",
        "recovery": "1 when the session before ended uncleanly",
        "started_at": "when it began",
        "ended_at": "when it ended, empty while it runs or when it was killed",
        "halt_reason": "the first precise cause of its end",
        "clean": "1 after an orderly end",
        "truth": "its last comparison with the venue: `ok`, `warn`, `halt` or `unverified`",
        "version": "the version of holdfast that ran it",
        "seed": "the seed of a simulated session",
        "orders": "orders intended in it",
        "fills": "executions booked in it",
        "positions_closed": "times that a position was closed in it",
        "ticks": "quotes and trades of the market seen in it",
        "realized_pnl": "what it realized, gross of fees, quote units; this and all below is as it "
        "was known at its end, empty while it runs (`holdfast sessions` shows it then)",
        "fees": "fees booked in it; positive is a cost",
        "funding": "funding received less paid",
        "converted": "what conversions brought against average cost",
        "net_pnl": "realized, converted and funding less fees",
        "slippage_quote": "what its fills cost against what was intended; positive is worse",
        "slippage_unknown_fills": "fills of which no slippage can be stated",
        "return_pct": "`net_pnl` in percent of `basis`; empty where that says nothing",
        "return_note": "why there is no return",
        "basis": "the net basis that it began with, opening balances that it adopted included",
        "net_basis": "the net basis that it ended with",
        "realized_exchange": "part of the realized profit that the venue stated or agreed with",
        "realized_estimate": "part that is our arithmetic over true prices",
        "realized_inferred": "part that rests on fills that were only inferred",
        "realized_provisional": "part that hung on fills that might still be voided",
        "fees_provisional": "the same of the fees",
        "slippage_provisional": "the same of the slippage",
    },
    "orders": {
        "venue_order_id": "the venue's order id, once known",
        "type": "`market` or `limit`",
        "qty": "ordered quantity, base units",
        "limit_price": "worst price allowed, empty for a market order",
        "reduce_only": "1 when it may only reduce a position",
        "filled_qty": "executed quantity after voids",
        "avg_price": "volume-weighted price of its priced fills",
        "provisional_qty": "part of the filled quantity that may still be voided",
        "fees": "fees paid, in the units that the fills name; positive is a cost",
        "slippage_quote": "sum over its fills, see there; empty where none can be stated",
        "reason": "why it stands where it stands",
        "created_at": "time of the intent",
        "updated_at": "time of the last change",
        "cancelled_at": "time of the last wish to cancel",
        "cancel_reason": "why a cancel was wished",
    },
    "fills": {
        "fill_id": "order and trade id, joined by a slash",
        "trade_id": "the venue's trade id, or a hash where it gives none",
        "qty": "executed quantity, base units",
        "price": "true price, empty where the venue did not tell",
        "fee": "fee of this trade; positive is a cost",
        "fee_asset": "the asset that the fee was paid in",
        "status": "`provisional`, `settled` or `voided`",
        "liquidity": "`maker`, `taker` or `unknown`",
        "provenance": "`exchange` for evidence, `inferred` for an assumption",
        "realized_pnl": "the venue's own figure, where a settlement brought one",
        "slippage_quote": "(price - intended) x quantity, positive where it was worse; intended is "
        "the limit, or what the book showed when a market order was decided; empty where either is "
        "not known",
        "late": "1 when the order had ended before",
        "venue_time": "the venue's time of the trade",
    },
    "positions": {
        "qty": "open quantity, negative for a short",
        "entry_qty": "quantity that entries filled",
        "exit_qty": "quantity that exits filled",
        "basis_price": "average price of what is open, empty when flat",
        "stop": "stop price in force",
        "take_profit": "target price",
        "trailing": "distance of the trailing stop, quote units",
        "expires_at": "when it is to be left",
        "realized_pnl": "realized profit before fees, quote units",
        "fees": "fees in quote units",
        "pnl_source": "`exchange`, `kernel_estimate` or `inferred`",
        "exit_reason": "why an exit was decided",
        "opened_at": "time of the first entry's intent",
        "closed_at": "time of its end, empty while open",
    },
    "decisions": {
        "approved": "1 when an order came of it, 0 when refused, empty before",
        "rule": "the rule that decided",
        "checks": "JSON list of all rules with limit, value and result",
        "inputs": "JSON object of what the strategy saw",
    },
    "account_snapshots": {
        "reason": "why it was taken",
        "capital": "what was put in plus realized profit and funding minus fees, quote units",
        "capital_source": "`seed`, `e_anchored` or `k_bridged`",
        "capital_seq": "the event that made the capital figure",
        "net_basis": "the denominator of every performance figure, quote units",
        "funding": "funding received less paid, quote units",
        "net_pnl": "realized, converted and funding less fees, quote units",
        "slippage_quote": "what all fills cost against what was intended; positive is worse",
        "realized_provisional": "part of the realized profit that may still be voided",
        "realized_pnl": "realized profit before fees, quote units",
        "fees_paid": "fees, quote units",
        "balances": "JSON object, asset to total",
        "reserved": "JSON object, asset to what open orders hold back",
    },
    "capital_events": {
        "kind": "`opening`, `init_basis`, `deposit`, `withdrawal`, `basis_commit`, `realignment`, "
        "`conversion` (a row of the asset that came), `funding`",
        "asset": "which asset",
        "amount": "how much, negative when it left",
        "price": "its price in quote units, where needed",
        "value": "what it was worth, quote units",
        "basis_delta": "what it added to the net basis, quote units",
        "net_basis_after": "the net basis with it",
        "equity_before": "capital and open profit before it, by which a withdrawal takes profit",
        "ref": "the transfer's id at the venue, or one of the content and the day",
        "who": "who booked it",
        "why": "and why",
        "source_note": "where it came from",
    },
    "instrument_settlements": {
        "payout": "what each unit paid, quote units",
        "qty": "the account's holding, in positions and outside of them, base units",
        "cash": "what came for it, negative when it left",
        "asset": "the asset that it came in",
        "resolution_id": "the venue's name for it, empty where it gave none",
        "late": "1 for what was filled or taken back after the first payout",
    },
    "circuit_breaker_events": {
        "breaker": "guard and condition, the source, or the halt's reason",
        "condition": "what held, in words",
        "triggered_at": "when",
        "context": "JSON object: what the guard saw; for other sources the mode after it",
        "source": "the source in the mode's set; a guard's own name",
        "action": "`degrade`, `idle`, `halt` or `strategy_off`",
        "cooldown_seconds": "recovery was not looked at before",
        "manual_reset_required": "1 where only a person ends it",
        "ended_at": "when it was over; empty while it stands",
        "outcome": "how it ended: `recovered`, `operator WHO: WHY`, `halted REASON`, "
        "`resumed: WHY` or `session over`",
    },
    "reconciler_anomalies": {
        "kind": "a short word for it",
        "seen": "what was seen",
        "done": "what was done",
    },
    "unresolved_facts": {
        "fact": "the kind of fact, a class of `fsm/facts.py`",
        "payload": "the fact as JSON; from before version 5 of the schema in words",
        "reason": "why it matched nothing",
        "resolved_at": "when it was placed or dismissed, empty while it is open",
        "resolved_as": "`order/ID` or `position/ID` that it was booked for, or `dismissed`",
        "who": "the person who said so; empty where it found its order by itself",
        "why": "how they know",
    },
    "truth_snapshots": {
        "status": "`ok`, `warn`, `halt` or `unverified`",
        "deltas": "JSON object of differences by asset or instrument",
        "detail": "more words",
    },
    "feed_gaps": {
        "from_time": "last data before the gap",
        "to_time": "first data after it, or as long as it was seen to last",
        "reason": "why",
        "lost": "how many items are known to be lost",
    },
}

_HEAD = """\
# Tables

Generated from `storage/schema.py` and `storage/schema_docs.py`; do not edit. Write it again with
`python -m storage.schema_docs > docs/reference/tables.md`.

Open a database read-only (`sqlite3 'file:holdfast.db?mode=ro'`). Money, prices and quantities are
decimal text: cast them for a rough sum, and use `holdfast` where every digit counts. Times are ISO
8601 text in UTC with microseconds.

The *record* is what happened. The *projections* are derived from it; `holdfast rebuild` drops and
rebuilds them, and `holdfast verify` proves that they say the same.
"""


def describe(table: str, column: str) -> str:
    """One line about a column. Raises KeyError when nobody has written it."""
    return COLUMNS[table].get(column) or COMMON[column]


def markdown() -> str:
    """The whole reference page."""
    parts = [_HEAD, "## Record\n"]
    for name, (about, columns) in RECORD.items():
        parts.append(_section(name, about, list(columns.items())))
    parts.append("## Projections\n")
    for name, (kinds, pk, about) in PROJECTIONS.items():
        rows = [(column, describe(name, column)) for column in kinds]
        parts.append(_section(name, f"{about}; key `{pk}`", rows))
    parts.append("## In backups\n")
    for name, (about, columns) in OF_BACKUPS.items():
        parts.append(_section(name, about, list(columns.items())))
    return "\n".join(parts)


def _section(name: str, about: str, rows: list[tuple[str, str]]) -> str:
    lines = [f"### {name}", "", f"{about[0].upper()}{about[1:]}.", "", "| column | meaning |"]
    lines += ["| --- | --- |", *(f"| `{column}` | {text} |" for column, text in rows), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown(), end="")
