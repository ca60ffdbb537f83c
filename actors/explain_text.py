"""Every event in words: one line, and further lines where it carries a list."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from attrs import fields

from fsm import events as ev
from fsm.figures import SessionFigures
from fsm.money import shown
from fsm.timestamps import SECOND_US, iso_utc
from fsm.vocabulary import Side

Said = tuple[str, list[str]]


def said(event: ev.Event) -> Said:
    """What happened, for a reader; an event without its own words lists its fields."""
    words: Callable[[Any], Said] | None = _WORDS.get(type(event))
    return words(event) if words else _plainly(event)


def _number(value: Decimal | None) -> str:
    return "-" if value is None else shown(value)


def _quote(bid: Decimal | None, ask: Decimal | None) -> str:
    return f"bid {_number(bid)}, ask {_number(ask)}"


def _plainly(event: ev.Event) -> Said:
    found = []
    for attribute in fields(type(event)):
        value = getattr(event, attribute.name)
        if value not in (None, "", (), {}):
            text = shown(value) if isinstance(value, Decimal) else value
            if isinstance(value, SessionFigures):
                text = f"net {shown(value.net_pnl)} of {shown(value.realized_pnl)} gross"
            found.append(f"{attribute.name} {text}")
    return f"{type(event).__name__}: {', '.join(found)}", []


# ------------------------------------------------------------------------------------- signals


def _raised(e: ev.SignalRaised) -> Said:
    size = f"{_number(e.qty)}" if e.qty is not None else f"{_number(e.notional)} of value"
    lines = [f"tick of {iso_utc(e.event_us)}: {_quote(e.bid, e.ask)}"]
    lines += [f"input {name} = {value}" for name, value in e.inputs.items()]
    protection = [
        f"{name} {shown(value)}"
        for name, value in (("stop", e.stop), ("target", e.take_profit), ("trailing", e.trailing))
        if value is not None
    ]
    if protection:
        lines.append(f"wished protection: {', '.join(protection)}")
    if e.expires_in_us is not None:
        lines.append(f"wished to end after {e.expires_in_us // SECOND_US} s")
    return f"signal {e.signal_id} of {e.strategy}: {e.side} {size} {e.instrument}", lines


def _decided(e: ev.SignalDecided) -> Said:
    passed = sum(check.passed for check in e.checks)
    width = max((len(check.rule) for check in e.checks), default=0)
    lines = [
        f"{'passed ' if check.passed else 'REFUSED'}  {check.rule:<{width}}  "
        f"value {check.value}, limit {check.limit}"
        for check in e.checks
    ]
    if e.approved:
        return f"the risk door approved: {passed} of {len(e.checks)} rules passed", lines
    return f"the risk door refused: {e.rule}", lines


# -------------------------------------------------------------------------------------- orders


def _intended(e: ev.OrderIntended) -> Said:
    price = f" at {_number(e.limit_price)}" if e.limit_price is not None else ""
    lines = []
    if e.reserve_price is not None:
        lines.append(f"price at the decision {shown(e.reserve_price)}")
    if e.exit_reason is not None:
        lines.append(f"carries out the exit: {e.exit_reason}, step {e.rung} of the ladder")
    flags = [n for n, on in (("reduce-only", e.reduce_only), ("post-only", e.post_only)) if on]
    if flags:
        lines.append(", ".join(flags))
    text = f"{e.role} order {e.client_order_id} intended: {e.side} {shown(e.qty)} {e.type}{price}"
    return text, lines


def _sent(e: ev.OrderSent) -> Said:
    return f"order {e.client_order_id} sent to the venue: {e.state}", []


def _acknowledged(e: ev.OrderAcknowledged) -> Said:
    how = "found open at the venue" if e.found else "acknowledged by the venue"
    name = f" as {e.venue_order_id}" if e.venue_order_id else ""
    return f"order {e.client_order_id} {how}{name}: {e.state}", []


def _filled(e: ev.OrderFilled) -> Said:
    price = "without a price" if e.price is None else f"at {shown(e.price)}"
    lines = [f"trade {e.trade_id} ({e.liquidity}, {e.status}), venue time {iso_utc(e.venue_us)}"]
    lines.append(f"filled so far {shown(e.filled_qty)} at an average of {_number(e.avg_price)}")
    if e.slippage_quote:
        worse = "worse" if e.slippage_quote > 0 else "better"
        lines.append(f"slippage {shown(e.slippage_quote)}: {worse} than intended")
    marks = [n for n, on in (("late", e.late), ("more than ordered", e.overfill)) if on]
    if e.provenance != "exchange":
        marks.append(f"provenance {e.provenance}")
    if marks:
        lines.append(", ".join(marks))
    fee = f"fee {shown(e.fee)} {e.fee_asset or ''}".rstrip()
    text = f"order {e.client_order_id} filled: {e.side} {shown(e.qty)} {price}, {fee}: {e.state}"
    return text, lines


def _settled(e: ev.OrderFillSettled) -> Said:
    text = f"trade {e.trade_id} of order {e.client_order_id} is final"
    return text, [f"realized {_number(e.realized_pnl)}, fee {_number(e.fee)} by the venue"]


def _voided(e: ev.OrderFillVoided) -> Said:
    what = f"{e.side} {shown(e.qty)} at {_number(e.price)}"
    return f"trade {e.trade_id} of order {e.client_order_id} was taken back: {what}", []


def _paired(e: ev.OrderFillPaired) -> Said:
    return f"trade {e.trade_id} of order {e.client_order_id} was told as {e.other_id} too", []


def _foretold(e: ev.OrderFillForetold) -> Said:
    what = "a void" if e.voided else f"a settlement, realized {_number(e.realized_pnl)}"
    return f"{what} of trade {e.trade_id} of order {e.client_order_id} came before the trade", []


def _order_moved(e: ev.OrderMoved) -> Said:
    why = f" ({e.reason})" if e.reason else ""
    who = f", by {e.who}" if e.who else ""
    return f"order {e.client_order_id}: {e.trigger} -> {e.state}{why}{who}", []


# ----------------------------------------------------------------------------------- positions


def _opened(e: ev.PositionOpened) -> Said:
    side = "long" if e.side is Side.BUY else "short"
    expiry = "never" if e.expires_at_us is None else iso_utc(e.expires_at_us)
    lines = [
        f"stop {_number(e.stop)}, target {_number(e.take_profit)}, "
        f"trailing {_number(e.trailing)}, ends {expiry}",
    ]
    if e.leverage != 1:
        lines.append(f"leverage {shown(e.leverage)} (margin only, PnL is without it)")
    if e.inventory:
        lines.append("the inventory that a strategy's quotes book into")
    return f"position {e.position_id} opened: {side} {e.instrument}", lines


def _changed(e: ev.PositionChanged) -> Said:
    lines = [
        f"basis {_number(e.basis_before)} -> {_number(e.basis_price)}, stop {_number(e.stop)}",
        f"realized {shown(e.realized_delta)}, sum {shown(e.realized_pnl)}; "
        f"fee {shown(e.fee_quote)}, sum {shown(e.fees)}",
    ]
    if e.flags:
        lines.append(f"flags: {', '.join(e.flags)}")
    delta = f"{'+' if e.qty_delta > 0 else ''}{shown(e.qty_delta)}"
    text = f"position {e.position_id} {delta} by {e.cause}, now {shown(e.qty)}: {e.state}"
    return text, lines


def _pnl_compared(e: ev.PnlCompared) -> Said:
    verdict = "agrees with" if e.agrees else "differs from"
    text = f"position {e.position_id}: the venue's realized PnL {verdict} ours"
    return text, [f"trade {e.trade_id}: {shown(e.exchange)}, ours {shown(e.estimate)}"]


def _position_moved(e: ev.PositionMoved) -> Said:
    why = f" ({e.reason})" if e.reason else ""
    lines = [f"flags: {', '.join(e.flags)}"] if e.flags else []
    return f"position {e.position_id}: {e.trigger} -> {e.state}{why}", lines


def _exit(e: ev.ExitDecided) -> Said:
    lines = [f"quote of {iso_utc(e.event_us)}: {_quote(e.bid, e.ask)}"]
    if e.threshold is not None:
        lines.append(f"level that was crossed: {shown(e.threshold)}")
    if e.rung:
        lines.append(f"step {e.rung} of the ladder")
    if e.note:
        lines.append(e.note)
    return f"position {e.position_id}: {e.trigger} because of {e.reason} -> {e.state}", lines


def _protection(e: ev.ProtectionMoved) -> Said:
    text = f"position {e.position_id}: trailing stop at {shown(e.stop)}"
    return text, [f"drawn from {shown(e.watermark)}, seen {iso_utc(e.event_us)}"]


# ------------------------------------------------------------------------------------ the rest


def _account(e: ev.AccountSnapshotTaken) -> Said:
    realized, fees = shown(e.realized_pnl), shown(e.fees_paid)
    text = f"account published ({e.reason}): capital {shown(e.capital)}"
    return text, [f"source {e.capital_source}, realized {realized}, fees paid {fees}"]


def _capital(e: ev.CapitalRecorded) -> Said:
    moved = f" of {shown(e.amount)} {e.asset}" if e.amount else ""
    price = f" at {shown(e.price)}" if e.price is not None else ""
    by = ": ".join(part for part in (e.who, e.why or e.source_note) if part)
    lines = [by] if by else []
    if e.basis_delta is not None and e.net_basis_before is not None:
        after = e.net_basis_before + e.basis_delta
        equity = _number(e.equity_before)
        lines.append(
            f"net basis {shown(e.net_basis_before)} -> {shown(after)}, equity before it {equity}"
        )
    return f"capital: {e.kind}{moved}{price}", lines


def _conversion(e: ev.ConversionBooked) -> Said:
    text = f"{shown(e.from_amount)} {e.from_asset} became {shown(e.to_amount)} {e.to_asset}"
    return text, [f"against average cost {shown(e.realized)}", f"{e.who}: {e.why}"]


def _anchored(e: ev.CapitalAnchored) -> Said:
    text = f"capital anchored to the wallet of {shown(e.wallet)} {e.asset}"
    return text, [f"{shown(e.drift)} beyond the books, told by the {e.origin}"]


def _anomaly(e: ev.AnomalyRecorded) -> Said:
    return f"anomaly {e.kind}: {e.seen}; done: {e.done}", []


def _fact_kept(e: ev.FactUnresolved) -> Said:
    return f"a {e.fact} could not be placed, and changed nothing: {e.reason}", [e.payload]


def _fact_placed(e: ev.FactResolved) -> Said:
    by = f"{e.who}: {e.why}" if e.who else "it found its order by itself"
    return f"the fact of seq {e.fact_seq}: {e.resolved_as} ({by})", []


def _paid_out(e: ev.InstrumentSettled) -> Said:
    late = ", late" if e.late else ""
    text = f"{e.instrument} resolved at {shown(e.payout)}{late}"
    return text, [f"{shown(e.qty)} held in all, {shown(e.cash)} {e.asset} for it"]


def _mode(e: ev.ModeMoved) -> Said:
    why = ", ".join(part for part in (e.source, e.condition, e.reason) if part)
    return f"mode: {e.trigger} -> {e.state}" + (f" ({why})" if why else ""), []


def _tripped(e: ev.GuardTripped) -> Said:
    lines = [f"{name} {_listed(value)}" for name, value in e.context.items()]
    if e.cooldown_us:
        lines.append(f"recovery is not looked at for {e.cooldown_us // SECOND_US} s")
    if e.manual_reset:
        lines.append("only a person ends it")
    return f"guard {e.guard} tripped ({e.action}) {e.breaker}: {e.condition}", lines


def _listed(value: ev.ContextValue) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _cleared(e: ev.GuardCleared) -> Said:
    lines = [f"acknowledged: {name} {value}" for name, value in e.acknowledged.items()]
    return f"guard {e.guard} armed again: {e.how} {e.detail}".rstrip(), lines


def _session(e: ev.SessionStarted) -> Said:
    kind = "recovery" if e.recovery else "fresh"
    lines = [f"instruments {', '.join(spec.name for spec in e.instruments) or '-'}"]
    lines.append(f"strategies {', '.join(e.strategies) or '-'}")
    return f"session {e.session_id} started: {e.mode} at {e.venue}, {kind}", lines


_WORDS: dict[type, Callable[[Any], Said]] = {
    ev.SignalRaised: _raised,
    ev.SignalDecided: _decided,
    ev.OrderIntended: _intended,
    ev.OrderSent: _sent,
    ev.OrderAcknowledged: _acknowledged,
    ev.OrderFilled: _filled,
    ev.OrderFillPaired: _paired,
    ev.OrderFillForetold: _foretold,
    ev.OrderFillSettled: _settled,
    ev.OrderFillVoided: _voided,
    ev.OrderMoved: _order_moved,
    ev.PositionOpened: _opened,
    ev.PositionChanged: _changed,
    ev.PnlCompared: _pnl_compared,
    ev.PositionMoved: _position_moved,
    ev.ExitDecided: _exit,
    ev.ProtectionMoved: _protection,
    ev.AccountSnapshotTaken: _account,
    ev.CapitalRecorded: _capital,
    ev.ConversionBooked: _conversion,
    ev.CapitalAnchored: _anchored,
    ev.AnomalyRecorded: _anomaly,
    ev.FactUnresolved: _fact_kept,
    ev.FactResolved: _fact_placed,
    ev.InstrumentSettled: _paid_out,
    ev.ModeMoved: _mode,
    ev.GuardTripped: _tripped,
    ev.GuardCleared: _cleared,
    ev.SessionStarted: _session,
}
