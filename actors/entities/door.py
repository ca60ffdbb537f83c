"""The risk door: the one place in front of every order that a strategy wants (L8).

Each rule is looked at in order and recorded with its limit and the value that it saw; the first
that fails refuses, and a rule that cannot be evaluated refuses too. Exits never pass here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal

from attrs import define, field, frozen

from actors import messages as msg
from actors.effects import SendSubmit, SetTimer
from actors.entities.sizer import SizeDecision
from actors.runtime.actor import Decision
from actors.world import World
from fsm import events as ev
from fsm.instrument import Instrument
from fsm.market import Tick
from fsm.mode import Permission
from fsm.money import ONE, ZERO, divide, floor_to_step, plain
from fsm.requests import Submit
from fsm.timestamps import SECOND_US
from fsm.vocabulary import OrderRole, OrderType, Side

_MINUTE_US = 60 * SECOND_US
_DAY_US = 86_400 * SECOND_US


@frozen(slots=True)
class Wish:
    """A signal with what the door worked out of it; None where that was not possible."""

    signal: ev.SignalRaised
    instrument: Instrument | None
    quote: Tick | None
    price: Decimal | None
    qty: Decimal | None
    sizing: SizeDecision | None = None
    """What the sizer decided; None where it is off, the venue takes no margin, or it cannot."""

    @property
    def leverage(self) -> Decimal:
        """By how much the position's margin is less than its value."""
        if self.sizing is not None:
            return self.sizing.leverage
        return self.instrument.max_leverage if self.instrument is not None else ONE

    @property
    def notional(self) -> Decimal:
        """Quantity at the price that it would pay, quote units."""
        return (self.qty or ZERO) * (self.price or ZERO)


@define(slots=True)
class Door:
    """Counts what passed, for the rate limit and the day's loss; the rest it reads elsewhere."""

    entries_at: deque[int] = field(factory=deque)
    day: int = 0
    day_start_pnl: Decimal = ZERO
    refusals: dict[str, int] = field(factory=dict)

    @property
    def address(self) -> str:
        """Not a stream of its own: decisions are in their signal's."""
        return "door"

    def evolve(self, event: ev.Event, at_us: int, pnl_net: Decimal) -> None:
        """Fold what the limits need: entries for the rate, the day's opening PnL."""
        self.roll(at_us, pnl_net)
        if type(event) is ev.OrderIntended and event.role in (OrderRole.ENTRY, OrderRole.QUOTE):
            self.entries_at.append(at_us)
            while self.entries_at and self.entries_at[0] <= at_us - _MINUTE_US:
                self.entries_at.popleft()
        elif type(event) is ev.SignalDecided and not event.approved:
            self.refusals[event.rule] = self.refusals.get(event.rule, 0) + 1

    def roll(self, at_us: int, pnl_net: Decimal) -> None:
        """A new UTC day begins with the PnL as it was before its first event."""
        if at_us // _DAY_US != self.day:
            self.day, self.day_start_pnl = at_us // _DAY_US, pnl_net

    def start_of_day(self, now_us: int, pnl_net: Decimal) -> Decimal:
        """PnL at the beginning of the day that it is now, also before its first event."""
        return self.day_start_pnl if now_us // _DAY_US == self.day else pnl_net

    def entries_in_last_minute(self, now_us: int) -> int:
        """Entry and quote orders of the last 60 seconds."""
        return sum(1 for at in self.entries_at if at > now_us - _MINUTE_US)

    def decide(self, message: object, world: World) -> Decision:
        """Approve with exactly one entry order, or refuse with the rule that did (assertion 1)."""
        assert isinstance(message, msg.SignalForDoor)
        wish = _wish(message.signal, world)
        checks: list[ev.RuleCheck] = []
        for rule in RULES if world.rules.sizer is None else RULES_WITH_SIZER:
            check = rule(self, wish, world)
            checks.append(check)
            if not check.passed:
                return _refused(wish.signal, check.rule, tuple(checks))
        return _approved(wish, tuple(checks), world)


def _wish(signal: ev.SignalRaised, world: World) -> Wish:
    instrument = world.instruments.get(signal.instrument)
    quote = world.quote(signal.instrument)
    price = (quote.ask if signal.side is Side.BUY else quote.bid) if quote else None
    qty = signal.qty
    if qty is None and signal.notional is not None and price:
        qty = divide(signal.notional, price)
    if qty is not None and instrument is not None:
        qty = floor_to_step(qty, instrument.qty_step)
    sizing = None
    if instrument is not None and price and qty:
        sizing = world.sized(signal.strategy, instrument, qty, price)
    return Wish(signal, instrument, quote, price, qty, sizing)


# ------------------------------------------------------------------------------------ the rules


def _check(rule: str, passed: bool, limit: object, value: object) -> ev.RuleCheck:
    def text(item: object) -> str:
        return plain(item) if isinstance(item, Decimal) else str(item)

    return ev.RuleCheck(rule=rule, limit=text(limit), value=text(value), passed=passed)


def _mode(door: Door, wish: Wish, world: World) -> ev.RuleCheck:
    return _check(
        "mode",
        world.permitted(Permission.ENTRY),
        "ACTIVE, control off",
        f"{world.mode}, control {world.control}",
    )


def _strategy(door: Door, wish: Wish, world: World) -> ev.RuleCheck:
    name, allowed = wish.signal.strategy, world.rules.allowed_strategies
    passed = (not allowed or name in allowed) and not world.is_off(name)
    return _check("allowed_strategies", passed, ", ".join(sorted(allowed)) or "all", name)


def _instrument(door: Door, wish: Wish, world: World) -> ev.RuleCheck:
    name, allowed = wish.signal.instrument, world.rules.allowed_instruments
    passed = wish.instrument is not None and (not allowed or name in allowed)
    if name in world.ledger.resolved:
        return _check("allowed_instruments", False, "not resolved", name)
    return _check(
        "allowed_instruments", passed, ", ".join(sorted(allowed)) or "configured ones", name
    )


def _no_doubt(door: Door, wish: Wish, world: World) -> ev.RuleCheck:
    unknown = world.unknown_orders(wish.signal.instrument)
    return _check("no_unknown_order", unknown == 0, 0, unknown)


def _fresh(door: Door, wish: Wish, world: World) -> ev.RuleCheck:
    view = world.markets.get(wish.signal.instrument)
    limit = world.rules.stale_after_us
    if view is None or view.tick is None or view.tick.bid is None or view.tick.ask is None:
        return _check("fresh_quote", False, f"<= {limit} us, both sides", "no two-sided quote")
    age = world.now_us - view.seen_at_us
    return _check("fresh_quote", age <= limit, f"<= {limit} us, both sides", f"{age} us")


def _quantity(door: Door, wish: Wish, world: World) -> ev.RuleCheck:
    spec = wish.instrument
    assert spec is not None
    minimum = max(spec.min_qty, spec.qty_step)
    passed = wish.qty is not None and wish.qty >= minimum and wish.notional >= spec.min_notional
    return _check(
        "quantity",
        passed,
        f">= {plain(minimum)}, value >= {plain(spec.min_notional)}",
        "none" if wish.qty is None else wish.qty,
    )


def _sane_price(door: Door, wish: Wish, world: World) -> ev.RuleCheck:
    limit, quote = world.rules.price_sanity_pct, wish.quote
    assert quote is not None
    assert quote.bid is not None
    assert quote.ask is not None
    if limit is None:
        return _check("price_sanity", True, "none", "-")
    mid = (quote.bid + quote.ask) / 2
    off = abs((wish.price or ZERO) - mid) / mid * 100 if mid else Decimal(1000)
    passed = quote.bid <= quote.ask and off <= limit
    return _check(
        "price_sanity", passed, f"<= {plain(limit)} % from the middle", divide(off, Decimal(1))
    )


def _protection(door: Door, wish: Wish, world: World) -> ev.RuleCheck:
    """A stop must lie on the losing side, a target on the winning one, before any order leaves."""
    signal, price = wish.signal, wish.price or ZERO
    stop, target, _ = _protective_prices(wish, world)
    sign = signal.side.sign
    passed = (stop is None or sign * (price - stop) > 0) and (
        target is None or sign * (target - price) > 0
    )
    passed = passed and (signal.trailing is None or signal.trailing > 0)
    return _check(
        "protection", passed, "stop below, target above (long)", f"stop {stop}, target {target}"
    )


def _position_cap(door: Door, wish: Wish, world: World) -> ev.RuleCheck:
    cap = world.rules.max_position_usd
    if cap is None:
        return _check("max_position_usd", True, "none", wish.notional)
    return _check("max_position_usd", wish.notional <= cap, cap, wish.notional)


def _deployed(door: Door, wish: Wish, world: World) -> ev.RuleCheck:
    """Capital at work, this order included, may never exceed what a session may lose."""
    cap = world.rules.max_session_loss
    working = sum(
        (
            max(o.rest, ZERO) * (o.limit_price or o.reserve_price or ZERO)
            for o in world.live_orders()
            if o.role is not OrderRole.EXIT
        ),
        ZERO,
    )
    value = world.ledger.open_notional + working + wish.notional
    return _check(
        "capital_deployed", cap is None or value <= cap, "none" if cap is None else cap, value
    )


def losses_refused(world: World) -> Iterator[str]:
    """Rules about losses that refuse every entry now, in words: they go by realized figures, and
    what a person has acknowledged to a guard does not move them."""
    rules, ledger = world.rules, world.ledger
    session = ledger.session_fees - ledger.session_realized
    day = world.day_start_pnl() - ledger.realized_pnl + ledger.fees_paid
    figures = (
        ("max_session_loss", session, rules.max_session_loss),
        ("daily_drawdown", day, rules.daily_drawdown),
    )
    for name, loss, cap in figures:
        if cap is not None and loss >= cap:
            yield f"{name}: {plain(loss)} lost, limit {plain(cap)}"


def _session_loss(door: Door, wish: Wish, world: World) -> ev.RuleCheck:
    cap = world.rules.max_session_loss
    loss = world.ledger.session_fees - world.ledger.session_realized
    return _check(
        "max_session_loss", cap is None or loss < cap, "none" if cap is None else cap, loss
    )


def _daily_loss(door: Door, wish: Wish, world: World) -> ev.RuleCheck:
    cap = world.rules.daily_drawdown
    net = world.ledger.realized_pnl - world.ledger.fees_paid
    loss = door.start_of_day(world.now_us, net) - net
    return _check("daily_drawdown", cap is None or loss < cap, "none" if cap is None else cap, loss)


def _one_way(door: Door, wish: Wish, world: World) -> ev.RuleCheck:
    """No bet against our own on a venue that nets them (M05): one net view an instrument."""
    spec, sign = wish.instrument, wish.signal.side.sign
    assert spec is not None
    against = [
        position.position_id
        for position in world.open_positions(spec.name)
        if spec.is_margined and position.is_open and position.side.sign != sign
    ]
    return _check(
        "one_way", not against, "no open position the other way", ", ".join(against) or "none"
    )


def _rate(door: Door, wish: Wish, world: World) -> ev.RuleCheck:
    cap = world.rules.orders_per_minute_max
    count = door.entries_in_last_minute(world.now_us) + 1
    return _check(
        "orders_per_minute_max", cap is None or count <= cap, "none" if cap is None else cap, count
    )


def _leverage(door: Door, wish: Wish, world: World) -> ev.RuleCheck:
    """Where the sizer is on, it decides; an entry that it cannot judge does not go (L8)."""
    spec, sizing = wish.instrument, wish.sizing
    assert spec is not None
    if not spec.is_margined:
        return _check("leverage", True, "margin only", "-")
    if sizing is None:
        return _check("leverage", False, "capital above 0", world.ledger.capital)
    return _check("leverage", True, f"1..{plain(sizing.cap)}", sizing.told)


def _funds(door: Door, wish: Wish, world: World) -> ev.RuleCheck:
    spec = wish.instrument
    assert spec is not None
    if spec.is_margined:
        free = world.ledger.balance(spec.quote).free - world.ledger.margin_used
        need = divide(wish.notional, wish.leverage)
    elif wish.signal.side is Side.BUY:
        free, need = world.ledger.balance(spec.quote).free, wish.notional
    else:
        free, need = world.ledger.balance(spec.base).free, wish.qty or ZERO
    return _check("free_funds", need <= free, free, need)


Rule = Callable[[Door, Wish, World], ev.RuleCheck]
RULES: tuple[Rule, ...] = (
    _mode,
    _strategy,
    _instrument,
    _no_doubt,
    _fresh,
    _quantity,
    _sane_price,
    _protection,
    _position_cap,
    _deployed,
    _session_loss,
    _daily_loss,
    _one_way,
    _rate,
    _funds,
)
#: With the sizer on: its answer is recorded like a rule's, before the margin that follows from it.
RULES_WITH_SIZER = (*RULES[:-1], _leverage, RULES[-1])


# -------------------------------------------------------------------------------------- answers


def _refused(signal: ev.SignalRaised, rule: str, checks: tuple[ev.RuleCheck, ...]) -> Decision:
    return Decision(
        events=[
            ev.SignalDecided(
                signal_id=signal.signal_id,
                strategy=signal.strategy,
                instrument=signal.instrument,
                approved=False,
                rule=rule,
                checks=checks,
            )
        ]
    )


def _protective_prices(
    wish: Wish, world: World
) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """Stop, target and trailing distance: the signal's own, or the configured defaults."""
    signal, price, sign = wish.signal, wish.price or ZERO, wish.signal.side.sign
    rules, tick = world.rules, wish.instrument.price_tick if wish.instrument else ZERO
    stop, target = signal.stop, signal.take_profit
    if stop is None and signal.trailing is None and rules.stop_pct is not None:
        stop = floor_to_step(price * (1 - sign * rules.stop_pct / 100), tick)
    if target is None and rules.target_pct is not None:
        target = floor_to_step(price * (1 + sign * rules.target_pct / 100), tick)
    return stop, target, signal.trailing


def _approved(wish: Wish, checks: tuple[ev.RuleCheck, ...], world: World) -> Decision:
    signal, spec, qty = wish.signal, wish.instrument, wish.qty
    assert spec is not None
    assert qty is not None
    position_id, order_id = world.ids.next("p"), world.ids.next("o")
    stop, target, trailing = _protective_prices(wish, world)
    session = world.session
    expires_at = None if signal.expires_in_us is None else world.now_us + signal.expires_in_us
    decision = Decision(
        events=[
            ev.SignalDecided(
                signal_id=signal.signal_id,
                strategy=signal.strategy,
                instrument=spec.name,
                approved=True,
                rule="all",
                checks=checks,
                position_id=position_id,
                client_order_id=order_id,
            ),
            ev.PositionOpened(
                position_id=position_id,
                session_id=session.session_id,
                mode=session.mode,
                instrument=spec.name,
                side=signal.side,
                strategy=signal.strategy,
                signal_id=signal.signal_id,
                stop=stop,
                take_profit=target,
                trailing=trailing,
                expires_at_us=expires_at,
                min_qty=max(spec.min_qty, spec.qty_step),
                leverage=wish.leverage,
            ),
            ev.OrderIntended(
                client_order_id=order_id,
                role=OrderRole.ENTRY,
                instrument=spec.name,
                side=signal.side,
                type=OrderType.MARKET,
                qty=qty,
                limit_price=None,
                session_id=session.session_id,
                mode=session.mode,
                position_id=position_id,
                strategy=signal.strategy,
                signal_id=signal.signal_id,
                leverage=wish.leverage,
                reserve_price=wish.price,
            ),
        ]
    )
    decision.effects.append(
        SendSubmit(
            Submit(
                client_order_id=order_id,
                instrument=spec.name,
                side=signal.side,
                qty=qty,
                type=OrderType.MARKET,
                leverage=wish.leverage,
            ),
            OrderRole.ENTRY,
        )
    )
    if signal.expires_in_us is not None:
        decision.effects.append(
            SetTimer(f"expiry/{position_id}", signal.expires_in_us, msg.ExpiryDue(position_id))
        )
    return decision
