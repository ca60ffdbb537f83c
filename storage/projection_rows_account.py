"""Which rows capital, reconciler and feeds write. Pure copying, as in `projection_rows`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsm import events as ev
from fsm.events import Recorded
from fsm.money import plain
from fsm.timestamps import iso_utc
from storage.projection_rows import compact_json, on, when

if TYPE_CHECKING:
    from storage.projections import Batch


@on(ev.CapitalRecorded)
def _capital(batch: Batch, at: Recorded, e: ev.CapitalRecorded) -> None:
    batch.insert(
        "capital_events",
        at.seq,
        {
            "seq": at.seq,
            "kind": e.kind,
            "asset": e.asset,
            "amount": e.amount,
            "price": e.price,
            "value": e.value,
            "basis_delta": e.basis_delta,
            "net_basis_after": None
            if e.net_basis_before is None or e.basis_delta is None
            else e.net_basis_before + e.basis_delta,
            "equity_before": e.equity_before,
            "ref": e.ref or None,
            "who": e.who or None,
            "why": e.why or None,
            "source_note": e.source_note,
            "at": when(at.at_us),
        },
    )


@on(ev.ConversionBooked)
def _conversion(batch: Batch, at: Recorded, e: ev.ConversionBooked) -> None:
    batch.insert(
        "capital_events",
        at.seq,
        {
            "seq": at.seq,
            "kind": "conversion",
            "asset": e.to_asset,
            "amount": e.to_amount,
            "basis_delta": "0",
            "ref": e.ref,
            "who": e.who or None,
            "why": e.why or None,
            "source_note": f"for {plain(e.from_amount)} {e.from_asset}",
            "at": when(at.at_us),
        },
    )


@on(ev.FundingBooked)
def _funding(batch: Batch, at: Recorded, e: ev.FundingBooked) -> None:
    batch.insert(
        "capital_events",
        at.seq,
        {
            "seq": at.seq,
            "kind": "funding",
            "asset": e.asset,
            "amount": e.amount,
            "source_note": f"{e.instrument} {e.funding_id}",
            "at": when(at.at_us),
        },
    )


@on(ev.InstrumentSettled)
def _instrument_settled(batch: Batch, at: Recorded, e: ev.InstrumentSettled) -> None:
    batch.insert(
        "instrument_settlements",
        at.seq,
        {
            "seq": at.seq,
            "instrument": e.instrument,
            "payout": e.payout,
            "qty": e.qty,
            "cash": e.cash,
            "asset": e.asset,
            "resolution_id": e.resolution_id,
            "late": int(e.late),
            "at": when(at.at_us),
        },
    )


@on(ev.AccountSnapshotTaken)
def _account(batch: Batch, at: Recorded, e: ev.AccountSnapshotTaken) -> None:
    batch.insert(
        "account_snapshots",
        at.seq,
        {
            "seq": at.seq,
            "session_id": e.session_id,
            "reason": e.reason,
            "capital": e.capital,
            "capital_source": e.capital_source,
            "capital_seq": e.capital_seq,
            "net_basis": e.net_basis,
            "funding": e.funding,
            "net_pnl": e.net_pnl,
            "slippage_quote": e.slippage_quote,
            "realized_provisional": e.realized_provisional,
            "realized_pnl": e.realized_pnl,
            "fees_paid": e.fees_paid,
            "balances": compact_json({k: plain(v) for k, v in e.balances.items()}),
            "reserved": compact_json({k: plain(v) for k, v in e.reserved.items()}),
            "at": when(at.at_us),
        },
    )


@on(ev.AnomalyRecorded)
def _anomaly(batch: Batch, at: Recorded, e: ev.AnomalyRecorded) -> None:
    batch.insert(
        "reconciler_anomalies",
        at.seq,
        {
            "seq": at.seq,
            "kind": e.kind,
            "client_order_id": e.client_order_id,
            "position_id": e.position_id,
            "seen": e.seen,
            "done": e.done,
            "at": when(at.at_us),
        },
    )
    if e.client_order_id is not None and batch.current("orders", e.client_order_id, "state"):
        batch.add_flag("orders", e.client_order_id, e.kind)


@on(ev.FactUnresolved)
def _fact_unresolved(batch: Batch, at: Recorded, e: ev.FactUnresolved) -> None:
    batch.insert(
        "unresolved_facts",
        at.seq,
        {
            "seq": at.seq,
            "fact": e.fact,
            "payload": e.payload,
            "reason": e.reason,
            "at": when(at.at_us),
        },
    )


@on(ev.FactResolved)
def _fact_resolved(batch: Batch, at: Recorded, e: ev.FactResolved) -> None:
    batch.update(
        "unresolved_facts",
        e.fact_seq,
        {
            "resolved_at": when(at.at_us),
            "resolved_as": e.resolved_as,
            "who": e.who,
            "why": e.why,
        },
    )


@on(ev.BooksCompared)
def _books_compared(batch: Batch, at: Recorded, e: ev.BooksCompared) -> None:
    batch.insert(
        "truth_snapshots",
        at.seq,
        {
            "seq": at.seq,
            "status": e.status,
            "deltas": compact_json(e.deltas),
            "detail": e.detail,
            "at": when(at.at_us),
        },
    )


@on(ev.FeedGapRecorded)
def _feed_gap(batch: Batch, at: Recorded, e: ev.FeedGapRecorded) -> None:
    if e.grown:
        told = {"instrument": e.instrument, "from_time": iso_utc(e.from_us), "lost": 0}
        for seq in batch.keys_where("feed_gaps", told):
            batch.update("feed_gaps", seq, {"to_time": iso_utc(e.to_us)})
        return
    batch.insert(
        "feed_gaps",
        at.seq,
        {
            "seq": at.seq,
            "instrument": e.instrument,
            "from_time": iso_utc(e.from_us),
            "to_time": iso_utc(e.to_us),
            "reason": e.reason,
            "lost": e.lost,
        },
    )
