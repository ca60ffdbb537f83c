"""Wallet truth: are the books what the venue has? ok, warn, halt, or unverified.

A difference counts only when the books' version was the same when the question left (it leaves
when all before it is durable), when the answer came, and when a second look at least 2 s later
repeats it. It is never compared before the orders and fills of the same round (N21), and a round
in which one of those failed can only find the books in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from attrs import define, field, frozen

from actors import messages as msg
from actors.effects import CancelTimer, SetTimer
from actors.reconciling.passes import BOOKS, START, Pass
from actors.runtime.actor import Decision
from actors.world import Rules, World
from fsm import events as ev
from fsm.facts import PositionReport
from fsm.mode import ModeState
from fsm.money import ZERO, plain
from fsm.order import OrderState
from fsm.position import PositionState
from fsm.requests import Query, QueryBalances, QueryPositions
from fsm.timestamps import SECOND_US
from fsm.vocabulary import OrderRole

#: Below this an asset's difference is rounding.
NOISE = Decimal("0.000001")
_REPEAT_US = 2 * SECOND_US
_UNVERIFIED_MAX = 3
_BPS = Decimal("0.0001")
_HALT_TIMER = "truth/halt"
#: What a comparison without a difference beyond tolerance ends.
RECOVERED_BY_OK = ("wallet_truth", "overfill", "unmatched_void")


@frozen(slots=True)
class Outcome:
    """What one comparison found; `deltas` are the venue minus the books, all of them."""

    status: str
    deltas: dict[str, Decimal] = field(factory=dict)
    detail: str = "books equal the venue"
    wrong: tuple[str, ...] = ()
    """The assets and positions whose difference is beyond tolerance."""
    is_accepted: bool = False
    """A difference beyond tolerance stands, and the operator has accepted it."""

    @property
    def shape(self) -> dict[str, bool]:
        """What is wrong and in which direction: a leak is the same one at every look."""
        return {name: self.deltas.get(name, ZERO) > 0 for name in self.wrong}

    @property
    def texts(self) -> dict[str, str]:
        """The deltas as they are journaled."""
        return {name: plain(delta) for name, delta in self.deltas.items()}


def tolerance(asset: str, total: Decimal, rules: Rules) -> Decimal:
    """Beyond it the books are wrong: the asset's own, else the larger of the two general ones."""
    own = rules.truth_tolerances.get(asset)
    if own is not None:
        return own
    return max(rules.truth_tolerance_abs, abs(total) * rules.truth_tolerance_bps * _BPS)


def compare_books(
    balances: Mapping[str, Decimal] | None,
    positions: tuple[PositionReport, ...] | None,
    world: World,
    accepted: Mapping[str, str],
) -> Outcome:
    """`ok`; `warn` for a difference within tolerance, or one that the operator has accepted;
    `halt` beyond it; `unverified` without an answer."""
    margined = any(spec.is_margined for spec in world.instruments.values())
    if balances is None or (margined and positions is None):
        return Outcome("unverified", {}, "the venue did not answer")
    deltas: dict[str, Decimal] = {}
    wrong: list[str] = []
    known = False
    for asset in sorted(set(world.ledger.totals) | set(balances) | set(accepted)):
        ours, theirs = world.ledger.totals.get(asset, ZERO), balances.get(asset, ZERO)
        if asset in world.instruments:
            continue  # a position that was accepted, compared below
        if abs(theirs - ours) > NOISE:
            deltas[asset] = theirs - ours
        most = max(tolerance(asset, ours, world.rules), NOISE)
        changed = abs(theirs - ours - Decimal(accepted.get(asset, "0"))) > most
        if abs(theirs - ours) > most and changed:
            wrong.append(asset)
        known = known or asset in accepted
    for name, delta in _position_deltas(positions or (), world).items():
        deltas[name] = delta
        if delta != Decimal(accepted.get(name, "0")):
            wrong.append(name)
        known = known or name in accepted
    if not deltas:
        return Outcome("ok")
    texts = [
        f"{name} {plain(delta)} at the venue against the books" for name, delta in deltas.items()
    ]
    if known and not wrong:
        texts.append("accepted by the operator")
    status = "halt" if wrong else "warn"
    return Outcome(status, deltas, ", ".join(texts), tuple(wrong), known and not wrong)


def _position_deltas(positions: tuple[PositionReport, ...], world: World) -> dict[str, Decimal]:
    """By what the account holds net: fills of external orders are in it, and in no position."""
    nets = world.ledger.nets
    ours = {
        spec.name: nets[spec.name].qty
        for spec in world.instruments.values()
        if spec.is_margined and spec.name in nets
    }
    theirs = {report.instrument: report.qty for report in positions}
    names = sorted(set(ours) | set(theirs))
    deltas = {name: theirs.get(name, ZERO) - ours.get(name, ZERO) for name in names}
    return {name: delta for name, delta in deltas.items() if delta != 0}


def questions(world: World) -> Iterator[Query]:
    """What the books are held against: every balance, and positions where there is margin."""
    yield QueryBalances(request_id=world.ids.next("q"))
    if any(spec.is_margined for spec in world.instruments.values()):
        yield QueryPositions(request_id=world.ids.next("q"))


@define(slots=True)
class Truth:
    """What is known of the wallet. `status`, `deltas` and `accepted` are the fold of
    `BooksCompared` within a session; the rest is transient."""

    status: str = "unverified"
    deltas: dict[str, str] = field(factory=dict)
    accepted: dict[str, str] = field(factory=dict)
    suspected: dict[str, str] = field(factory=dict)
    suspected_shape: dict[str, bool] = field(factory=dict)
    suspected_at_us: int = 0
    unverified_reads: int = 0
    unread: bool = False
    """The reads that failed are why wallet_truth stands."""
    halted_since_us: int | None = None

    def evolve(self, event: ev.Event) -> None:
        """Copy what happened; each session looks itself, and accepts for itself."""
        if type(event) is ev.SessionStarted:
            self.status, self.deltas, self.accepted = "unverified", {}, {}
        elif type(event) is ev.BooksCompared:
            self.status, self.deltas = event.status, event.deltas
            if event.accepted:
                self.accepted = event.deltas

    @property
    def at_end(self) -> str:
        """What a session that ends now may say: a difference that was seen once and not looked at
        again leaves it unverified."""
        again = self.suspected and self.suspected != self.deltas
        return "unverified" if again else self.status

    def judge(self, outcome: Outcome, run: Pass, world: World, decision: Decision) -> bool:
        """What a comparison leads to. False while its repetition is awaited: the next pass is set
        then."""
        starting = run.scope == START
        if outcome.status != "unverified":
            self.unverified_reads = 0
        if not run.round_ok and outcome.status == "halt":
            return True  # a fill that could not be asked for may explain it (L3, N21)
        news = (outcome.status, outcome.texts) != (self.status, self.deltas)
        if outcome.status == "unverified":
            self._unverified(run, world, decision)
        if outcome.status == "halt" and not self._is_repeated(outcome, run, world, decision):
            return False
        if outcome.status in ("ok", "warn"):
            if run.balances is not None:
                decision.tells.append(msg.WalletSeen(run.balances, run.books_us))
            self.suspected, self.suspected_shape, self.halted_since_us = {}, {}, None
            decision.effects.append(CancelTimer(_HALT_TIMER))
            if self.unread or not outcome.is_accepted:
                sources = [source for source in RECOVERED_BY_OK if source in world.sources]
                decision.tells += [msg.Recover(source) for source in sources]
            self.unread = False
        gate = starting and world.mode is ModeState.RECONCILING
        accepted = gate and outcome.status == "halt" and run.accepts_divergence
        if news or starting:
            event = ev.BooksCompared(
                status=outcome.status,
                deltas=outcome.texts,
                detail=outcome.detail,
                accepted=accepted,
            )
            decision.events.append(event)
        if starting and outcome.status in ("ok", "warn"):
            decision.tells.append(msg.BooksMatch())
        elif gate and outcome.status == "halt":
            decision.tells.append(msg.Divergence(outcome.detail, accepted))
        elif outcome.status == "halt":
            decision.tells.append(msg.Degrade("wallet_truth", outcome.detail))
            decision.tells += gone_at_venue(outcome.deltas, world)
            self._stands(world, decision)
        return True

    def missed(self, run: Pass, world: World, decision: Decision) -> None:
        """The books moved during every read of this round: it was looked at in vain."""
        self._unverified(run, world, decision)

    def _unverified(self, run: Pass, world: World, decision: Decision) -> None:
        """Nobody trades for long beside a wallet that cannot be read. It halts only where the rest
        of the round was read: a venue that says nothing at all comes back by itself (X16)."""
        if run.scope == START:
            return
        self.unverified_reads += 1
        if self.unverified_reads >= _UNVERIFIED_MAX:
            self.unread = self.unread or "wallet_truth" not in world.sources
            decision.tells.append(msg.Degrade("wallet_truth", "three unverified reads"))
            if run.round_ok:
                self._stands(world, decision)

    def _is_repeated(self, outcome: Outcome, run: Pass, world: World, decision: Decision) -> bool:
        """A fill may be on its way: what is wrong has to be wrong again, 2 s later."""
        if outcome.shape != self.suspected_shape:
            self.suspected_shape, self.suspected_at_us = outcome.shape, world.now_us
        self.suspected = outcome.texts
        again_us = self.suspected_at_us + _REPEAT_US - world.now_us
        if again_us > 0:
            decision.effects.append(SetTimer("pass/suspect", again_us, msg.PassDue(run.scope)))
        return again_us <= 0

    def _stands(self, world: World, decision: Decision) -> None:
        """A halt that lasts ends the trading for good: somebody has to look (DESIGN section 4)."""
        if not world.rules.wallet_truth_degrades:
            return  # switched off: only said
        limit_us = world.rules.truth_halt_after_us
        if self.halted_since_us is None:
            self.halted_since_us = world.now_us
            decision.effects.append(SetTimer(_HALT_TIMER, limit_us, msg.PassDue(BOOKS)))
        elif world.now_us - self.halted_since_us >= limit_us:
            decision.tells.append(msg.Halt("inventory_truth_halt"))


def gone_at_venue(deltas: Mapping[str, Decimal], world: World) -> list[object]:
    """Positions whose exits are refused, and of which the venue has less than the books: somebody
    traded them away there (X17). What is missing is given to each position once."""
    missing = dict(deltas)
    told: list[object] = []
    for position in world.positions.values():
        spec = world.instruments.get(position.instrument)
        stuck = position.state is PositionState.EXIT_PENDING and position.failures > 0
        if spec is None or not stuck or position.live_of(OrderRole.EXIT):
            continue
        name = position.instrument if spec.is_margined else spec.base
        sign = 1 if position.qty > 0 else -1
        less = -missing.get(name, ZERO) * sign
        if not spec.is_margined:
            # What the venue still has is enough for the exit: then nothing says that it is gone.
            there = world.ledger.totals.get(name, ZERO) + deltas.get(name, ZERO)
            less = min(less, abs(position.qty) - there) if sign > 0 else ZERO
        if less <= 0:
            continue
        gone = min(less, abs(position.qty))
        missing[name] = -(less - gone) * sign
        seen = f"the venue has {plain(less)} {name} less than the books, exits are refused"
        told.append(msg.GoneAtVenue(position.position_id, gone, seen))
    return told


def is_settled(world: World) -> bool:
    """No order is left of which nobody knows whether the venue has it."""
    open_questions = (OrderState.INTENDED, OrderState.SUBMITTED, OrderState.UNKNOWN)
    return not any(order.state in open_questions for order in world.orders.values())
