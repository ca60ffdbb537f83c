"""The account: capital events by command, and anchors by the venue's word on the margin wallet.

Its figures are the ledger's; this actor decides which events may move them. A wallet that is not
finite and above zero is never an anchor (P05), and a difference that the books cannot explain is
never booked by itself: it is proposed, and a person books it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from attrs import define, field

from actors import capital_plan
from actors import messages as msg
from actors.runtime.actor import Decision, Refused
from actors.world import World
from fsm import events as ev
from fsm import facts
from fsm.money import ZERO, plain
from fsm.vocabulary import CapitalKind
from storage.capital import STREAM

#: Keys of commands whose events may still be on their way to the journal.
_KEYS_MAX = 1_000
_CENT = Decimal("0.01")


@define(slots=True)
class Account:
    """Decides on capital; holds nothing that the ledger has."""

    breaches: capital_plan.Breaches = lambda totals, prices: []
    """Which limits balances would breach; the guards' own answer."""
    _booked: dict[str, capital_plan.Event] = field(factory=dict)

    @property
    def address(self) -> str:
        """Its stream."""
        return "account"

    def decide(self, message: object, world: World) -> Decision:
        """What a command or a report leads to. Raises Refused."""
        if isinstance(message, facts.BalanceReport):
            return self._reported(message, world)
        if isinstance(message, msg.WalletSeen):
            return self._seen(message, world)
        if isinstance(message, msg.BookCapital | msg.BookConversion):
            return self._book(message, world)
        raise Refused(f"account: no handling for {type(message).__name__}")

    def plan(
        self, message: msg.BookCapital | msg.BookConversion, world: World
    ) -> capital_plan.CapitalPlan | None:
        """What the command would do; None when it is booked already. Raises Refused, Busy."""
        if message.ref and capital_plan.takes_ref(message):
            booked = self._event(f"capital|{message.ref}", world)
            if booked is not None:
                capital_plan.check_same(message, booked)
                return None
        if isinstance(message, msg.BookConversion):
            plan = capital_plan.plan_conversion(message, world, self.breaches)
        elif _is_done(message, world):
            return None
        else:
            plan = capital_plan.plan(message, world, self.breaches)
        same = [plan.event.ref]
        if not message.ref:  # given again after midnight, because its answer was lost
            same.append(capital_plan.ref_of_yesterday(plan.event.ref, world))
        for ref in same:
            if self._is_booked(f"capital|{ref}", world):
                raise Refused(
                    f"the same was booked not long ago ({ref}): give --ref with the id of this "
                    "transfer if it is another one"
                )
        return plan

    def _book(self, message: msg.BookCapital | msg.BookConversion, world: World) -> Decision:
        plan = self.plan(message, world)
        if plan is None:
            return Decision.ignore(f"duplicate: {message.ref or 'the initial basis'} is booked")
        if plan.breaches and not message.accept_breaches:
            raise Refused(f"{'; '.join(plan.breaches)}: raise the limit, or --accept-breaches")
        self._booked[plan.key] = plan.event
        if len(self._booked) > _KEYS_MAX:
            del self._booked[next(iter(self._booked))]
        return Decision(events=[plan.event], dedup_keys=[plan.key])

    def _event(self, key: str, world: World) -> ev.Event | None:
        return self._booked.get(key) or world.recorded_event(key)

    def _is_booked(self, key: str, world: World) -> bool:
        return key in self._booked or world.is_recorded(key)

    # ----------------------------------------------------------------------------------- anchors

    def _reported(self, report: facts.BalanceReport, world: World) -> Decision:
        """The stream told a wallet: the capital figure snaps to it, whatever the books say."""
        if report.asset not in world.ledger.margin_assets:
            return Decision.ignore("balance: no margin wallet, compared with the books only")
        if 0 < report.venue_us < world.ledger.funds.told_us.get(report.asset, 0):
            return Decision.ignore("balance: older than what the venue has told of this wallet")
        dated = report.venue_us > 0
        told_us = report.venue_us if dated else world.now_us
        origin = STREAM if dated else f"{STREAM}, undated"
        return self._anchored(report.asset, report.total, told_us, origin, world)

    def _seen(self, seen: msg.WalletSeen, world: World) -> Decision:
        """A comparison found the books in order: what it saw of the wallets is an anchor."""
        decision = Decision()
        for asset in sorted(world.ledger.margin_assets):
            if asset in seen.balances:
                wallet = seen.balances[asset]
                one = self._anchored(asset, wallet, seen.asked_us, "query", world)
                decision.events += one.events
        if not decision.events:
            decision.ignored = "anchor: capital is what it was"
        return decision

    def _anchored(
        self, asset: str, wallet: Decimal, venue_us: int, origin: str, world: World
    ) -> Decision:
        ledger = world.ledger
        if not wallet.is_finite() or wallet <= 0:
            seen = f"a wallet of {wallet} {asset} on the {origin}"
            anomaly: Any = ev.AnomalyRecorded(
                kind="anchor_rejected", seen=seen, done="not taken for the capital; compared"
            )
            return Decision(events=[anomaly])
        drift = wallet - ledger.totals.get(asset, ZERO)
        before = ledger.funds.anchors.get(asset)
        known = before is not None and before.drift == drift
        if known and ledger.funds.source == "e_anchored":
            return Decision.ignore("anchor: capital is what it was")
        event = ev.CapitalAnchored(
            asset=asset, wallet=wallet, drift=drift, venue_us=venue_us, origin=origin
        )
        return Decision(events=[event])


def _is_done(message: msg.BookCapital, world: World) -> bool:
    """The same initial basis again, or one that there is nothing left for."""
    funds = world.ledger.funds
    if message.kind is not CapitalKind.INIT_BASIS or not world.ledger.totals:
        return False
    if funds.has_initial_basis:
        return message.prices in ({}, funds.initial_prices)
    return not funds.unpriced and not message.prices


def proposals(deltas: dict[str, str], world: World) -> list[dict[str, str]]:
    """Capital events that would explain what the venue has and the books do not: proposed, never
    booked. `deltas` are the venue minus the books, as the last comparison found them."""
    found = []
    for asset, text in deltas.items():
        delta = Decimal(text)
        if asset in world.instruments or abs(delta) < _CENT * _CENT:
            continue  # a position, or rounding
        kind = "deposit" if delta > 0 else "withdraw"
        price = "" if asset in world.ledger.quotes else " --price PRICE"
        found.append(
            {
                "asset": asset,
                "amount": plain(abs(delta)),
                "event": "deposit" if delta > 0 else "withdrawal",
                "command": f"holdfast capital {kind} {asset} {plain(abs(delta))}{price} --dry-run",
            }
        )
    return found
