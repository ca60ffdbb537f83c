"""The first and the last turn of a session.

At the start: who holds the account, which orders are in doubt after the restart (L4), which were
cancelled without a journal, and which timers protect what is open, before anything else happens.
"""

from __future__ import annotations

from actors import messages as msg
from actors.effects import Effect, Notify, SetTimer
from actors.entities.exits import WANTED_OUT
from actors.reconciling.outcomes import opened
from actors.registry import Books
from actors.runtime.actor import Decision
from actors.world import World
from fsm import events as ev
from fsm import mode as mode_machine
from fsm import order as order_machine
from fsm.figures import SessionFigures
from fsm.mode import ModeState, ModeTrigger
from fsm.order import OrderState, OrderTrigger
from storage.session_sums import session_figures


def start_session(message: msg.StartSession, books: Books) -> Decision:
    """Begin: the session's event, doubts, spilled cancels, protection, the gate's first pass."""
    world = books.world
    decision = Decision(
        events=[
            ev.SessionStarted(
                session_id=message.session_id,
                mode=message.mode,
                venue=message.venue,
                holder=message.holder,
                recovery=not books.last_session_clean,
                started_at_us=world.now_us,
                version=message.version,
                seed=message.seed,
                instruments=message.instruments,
                strategies=message.strategies,
                previous=_left_untold(books),
            )
        ]
    )
    decision.events.append(
        ev.ModeMoved(
            trigger=ModeTrigger.LEASE_TAKEN,
            state=mode_machine.TABLE.next("mode", ModeState.STARTING, ModeTrigger.LEASE_TAKEN),
        )
    )
    quotes = {spec.quote for spec in message.instruments}
    for asset, amount in (message.opening or {}).items():
        note = "opening balance of a scenario"
        decision.events.append(opened(asset, amount, quotes, note))
    for order in world.live_orders():
        if order.state in (OrderState.INTENDED, OrderState.SUBMITTED):
            decision.events.append(_doubt(order.client_order_id, order.position_id, order.state))
        if (
            order.client_order_id in message.spilled
            and order.state is not OrderState.CANCELLED_BY_ENGINE
        ):
            decision.events.append(
                ev.OrderMoved(
                    client_order_id=order.client_order_id,
                    position_id=order.position_id,
                    trigger=OrderTrigger.ENGINE_CANCEL,
                    state=OrderState.CANCELLED_BY_ENGINE,
                    reason="cancelled while the journal could not be written",
                )
            )
    decision.effects += _left_behind(books)
    wanted = WANTED_OUT.get(world.control)
    for position in world.positions.values():
        decision.effects += position.rearm(world)
        if wanted is not None and position.is_open:
            decision.tells.append(
                msg.RequestExit(position.position_id, wanted, "the kill switch stands")
            )
    decision.effects.append(SetTimer("pass/next", 0, msg.PassDue("start")))
    decision.effects.append(
        SetTimer("pass/books", world.rules.balances_interval_us, msg.BooksPassDue())
    )
    return decision


def _left_untold(books: Books) -> SessionFigures | None:
    """The figures of the session before, where it was killed before it could tell them: the ledger
    still holds them, until this session begins."""
    if books.world.session.session_id and books.last_truth is None:
        return session_figures(books.world.ledger)
    return None


def _left_behind(books: Books) -> list[Effect]:
    """The shutdown invariant: what the last session could not prove is said before this one trades.

    A difference is refused by the gate, which compares anew; a missing proof only warns.
    """
    if books.last_truth in (None, "ok", "warn"):
        return []
    found = "with books that differ from the venue"
    if books.last_truth == "unverified":
        found = "without a comparison with the venue"
    text = f"the last session ended {found}; trading waits for the comparison at the start"
    alert = ev.AlertRaised(severity="warning", token="LAST_SESSION_TRUTH", text=text)
    return [Notify(alert)]


def _doubt(client_order_id: str, position_id: str | None, state: OrderState) -> ev.OrderMoved:
    target = order_machine.TABLE.next(
        f"order/{client_order_id}", state, OrderTrigger.OUTCOME_UNKNOWN
    )
    return ev.OrderMoved(
        client_order_id=client_order_id,
        position_id=position_id,
        trigger=OrderTrigger.OUTCOME_UNKNOWN,
        state=target,
        reason="the engine restarted: it may have left or not",
    )


def end_session(message: msg.EndSession, books: Books) -> Decision:
    """End: the last account snapshot, the session's end, and STOPPED."""
    world = books.world
    decision = Decision()
    if books.mode.state is ModeState.STOPPING:
        decision.events.append(
            ev.ModeMoved(
                trigger=ModeTrigger.STOPPED, state=ModeState.STOPPED, reason=message.reason
            )
        )
    ended = msg.SnapshotAccount("session_ended")
    decision.events.append(account_snapshot(ended, world))
    decision.events.append(
        ev.SessionEnded(
            session_id=world.session.session_id,
            halt_reason=message.reason,
            clean=message.clean,
            ended_at_us=world.now_us,
            ticks=message.ticks,
            truth=books.reconciler.truth.at_end,
            figures=session_figures(world.ledger),
        )
    )
    return decision


def account_snapshot(message: msg.SnapshotAccount, world: World) -> ev.AccountSnapshotTaken:
    """The account as it stands, for the record."""
    view = world.ledger.view()
    return ev.AccountSnapshotTaken(
        session_id=world.session.session_id,
        reason=message.reason,
        capital=view.capital,
        capital_source=view.capital_source,
        realized_pnl=view.realized_pnl,
        fees_paid=view.fees_paid,
        balances={a: b.total for a, b in view.balances.items()},
        reserved={a: b.reserved for a, b in view.balances.items() if b.reserved},
        capital_seq=view.capital_seq,
        net_basis=view.net_basis,
        funding=view.funding,
        net_pnl=view.net_pnl,
        slippage_quote=view.slippage_quote,
        realized_provisional=view.realized_provisional,
    )


class Gaps:
    """Gaps of the feeds, each recorded once: a second report of the same silence makes it longer.

    The guard sees a silence while it lasts, the detector of gaps when it has ended.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, int]] = {}

    def recorded(self, message: msg.FeedGapSeen) -> ev.FeedGapRecorded:
        """What to record of a gap that was seen."""
        from_us, to_us = self._last.get(message.instrument, (0, -1))
        grown = message.lost == 0 and from_us <= message.from_us <= to_us
        if not grown:
            from_us = to_us = message.from_us
        # A source whose clock was set back ends a gap before it begins: it has no length (P07).
        to_us = max(to_us, message.to_us)
        if message.lost == 0:
            self._last[message.instrument] = from_us, to_us
        return ev.FeedGapRecorded(
            instrument=message.instrument,
            from_us=from_us,
            to_us=to_us,
            reason=message.reason,
            lost=message.lost,
            grown=grown,
        )
