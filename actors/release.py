"""The last look before something leaves: is the order still wanted, does the system allow it?

Here are the only calls of `gateway.send`. A submit that was withdrawn, or that the mode no longer
allows, never leaves and is journaled as `never_sent`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from attrs import define, field
from loguru import logger

from actors import messages as msg
from actors.effects import Effect, Notify, Reply, SendCancel, SendQuery, SendSubmit, TellLater
from actors.runtime.lanes import Inbox
from actors.venues.port import VenueGateway
from actors.world import World
from fsm.events import AlertRaised
from fsm.mode import Permission, permission_for
from fsm.order import OrderState
from fsm.requests import Cancel
from fsm.vocabulary import OrderRole

_LEVELS = {"critical": "ERROR", "warning": "WARNING", "info": "INFO"}
_ALERTS_KEPT = 200


def spill_path(database: Path | str) -> Path:
    """Cancels that left without a journal, for the next start to fold."""
    return Path(f"{database}.spill")


@define(slots=True)
class Release:
    """Lets effects out, and counts what left for the venue in this session."""

    world: World
    inbox: Inbox
    gateway: VenueGateway
    database: Path | None = None
    answer: Callable[[object, dict[str, object]], None] = lambda token, answer: None
    connected: bool = False
    sent: dict[str, int] = field(factory=lambda: {"submit": 0, "cancel": 0})
    alerts: list[AlertRaised] = field(factory=list)
    alert_counts: dict[str, int] = field(factory=dict)

    def release(self, effect: Effect) -> None:
        """Let one effect out."""
        if isinstance(effect, SendSubmit):
            self._submit(effect)
        elif isinstance(effect, SendCancel):
            self._cancel(effect.request)
        elif isinstance(effect, SendQuery):
            if self.world.permitted(Permission.CANCEL):  # observers and fenced holders ask nothing
                self.gateway.send(effect.request)
        elif isinstance(effect, TellLater):
            self.inbox.tell_behind_all(effect.message)
        elif isinstance(effect, Reply):
            self.answer(effect.token, effect.answer)
        elif isinstance(effect, Notify):
            self._notify(effect.alert)

    def _submit(self, effect: SendSubmit) -> None:
        request = effect.request
        order = self.world.orders.get(request.client_order_id)
        if order is None or order.state is not OrderState.INTENDED:
            self._never_sent(request.client_order_id, "withdrawn before it left")
        elif not self.world.permitted(permission_for(effect.role)):
            self._never_sent(
                request.client_order_id,
                f"not allowed while {self.world.mode}, control {self.world.control}",
            )
        else:
            self.inbox.tell_first(msg.SentOut(request.client_order_id))
            self.sent["submit"] += 1
            self.gateway.send(request)

    def _never_sent(self, client_order_id: str, reason: str) -> None:
        self.inbox.tell_first(msg.NeverSent(client_order_id, reason))

    def _cancel(self, request: Cancel) -> None:
        order = self.world.orders.get(request.client_order_id)
        if not self.world.permitted(Permission.CANCEL):
            return
        if order is not None and not order.request_left:
            return  # its submit was withdrawn at this same gate: there is nothing to cancel
        self.sent["cancel"] += 1
        self.gateway.send(request)

    def notify(self, severity: str, token: str, text: str) -> None:
        """Tell people of something that no turn decided."""
        self._notify(AlertRaised(severity=severity, token=token, text=text))

    def _notify(self, alert: AlertRaised) -> None:
        token = alert.token.strip("[]")
        self.alert_counts[token] = self.alert_counts.get(token, 0) + 1
        self.alerts.append(alert)
        del self.alerts[:-_ALERTS_KEPT]
        logger.log(_LEVELS.get(alert.severity, "WARNING"), "{} {}", alert.token, alert.text)

    # ---------------------------------------------------------------------- without a journal

    def cancel_without_journal(self) -> None:
        """Cancel entries and quotes: spilled and fsynced first, folded by the next start (L1)."""
        just_left = {m.client_order_id for m in self.inbox.local if isinstance(m, msg.SentOut)}
        orders = [
            order
            for order in self.world.live_orders()
            if order.role in (OrderRole.ENTRY, OrderRole.QUOTE)
            and (order.request_left or order.client_order_id in just_left)
        ]
        self._cancel_spilled(
            [
                Cancel(
                    client_order_id=order.client_order_id,
                    instrument=order.instrument,
                    venue_order_id=order.venue_order_id,
                )
                for order in orders
            ]
        )

    def discard(self, effects: list[Effect]) -> None:
        """Effects of a turn that never became durable: its cancels still leave, spilled first, its
        alerts are still raised, and whoever waits hears that nothing was carried out (L1, X18)."""
        if self.world.permitted(Permission.CANCEL):
            self._cancel_spilled([e.request for e in effects if isinstance(e, SendCancel)])
        for effect in effects:
            if isinstance(effect, Reply):
                refusal = {
                    "accepted": False,
                    "error": "the journal cannot be written: only cancels",
                }
                self.answer(effect.token, refusal)
            elif isinstance(effect, Notify):
                self._notify(effect.alert)

    def _cancel_spilled(self, cancels: list[Cancel]) -> None:
        if not cancels or not self._spill([cancel.client_order_id for cancel in cancels]):
            return
        for cancel in cancels:
            self.sent["cancel"] += 1
            self.gateway.send(cancel)

    def _spill(self, order_ids: list[str]) -> bool:
        if self.database is None:
            return False
        data = "".join(json.dumps({"cancel": order_id}) + "\n" for order_id in order_ids)
        try:
            fd = os.open(spill_path(self.database), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(fd, data.encode())
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as problem:
            logger.error("SPILL_FAILED orders={} {}", order_ids, problem)
            return False
        return True


def read_spill(database: Path | str) -> tuple[str, ...]:
    """The orders that were cancelled without a journal; a torn last line is left out."""
    try:
        lines = spill_path(database).read_text().splitlines()
    except FileNotFoundError:
        return ()
    found: dict[str, None] = {}
    for line in lines:
        try:
            found[json.loads(line)["cancel"]] = None
        except (ValueError, KeyError, TypeError):
            logger.warning("SPILL_TORN_LINE {}", line[:80])
    return tuple(found)
