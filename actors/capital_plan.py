"""What a capital command would do: the one calculation behind the dry run and the booking.

Pure: reads the books, changes nothing. Raises Refused with one clear line, Busy where waiting
for a moment without orders in flight on the asset may help.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from difflib import get_close_matches

from attrs import field, frozen

from actors import messages as msg
from actors.runtime.actor import Refused
from actors.world import World
from fsm import events as ev
from fsm.money import DIVISION, EXACT, ONE, ZERO, plain
from fsm.order import OrderState
from fsm.timestamps import SECOND_US, iso_utc
from fsm.vocabulary import CapitalKind
from storage.account_view import unrealized_pnl
from storage.capital import SYNTHETIC_BASIS, withdrawal_basis

_IN_FLIGHT = frozenset(
    {
        OrderState.INTENDED,
        OrderState.SUBMITTED,
        OrderState.UNKNOWN,
        OrderState.CANCEL_PENDING,
        OrderState.CANCELLED_BY_ENGINE,
        OrderState.HELD_FOR_REVIEW,
    }
)
_DAY_US = 86_400 * SECOND_US
_MOVES = (CapitalKind.DEPOSIT, CapitalKind.WITHDRAWAL, CapitalKind.REALIGNMENT)
#: (totals after, prices that are known by the command) -> limits that they would breach.
Breaches = Callable[[Mapping[str, Decimal], Mapping[str, Decimal]], list[str]]


#: What a capital command books.
Event = ev.CapitalRecorded | ev.ConversionBooked
#: Balances have 28 digits: what they round off has to be this small beside both of what is added.
_ROUNDING_MAX = Decimal("1e-9")


class Busy(Refused):
    """Orders of the asset are in flight: the same command may be carried out a moment later."""


@frozen(kw_only=True)
class CapitalPlan:
    """The event that a command makes, and every figure before and after it; quote units."""

    event: Event
    key: str
    balances_before: dict[str, Decimal]
    balances_after: dict[str, Decimal]
    capital_before: Decimal
    capital_after: Decimal
    equity_before: Decimal
    net_basis_before: Decimal
    net_basis_after: Decimal
    breaches: list[str] = field(factory=list)

    def document(self) -> dict[str, object]:
        """As `--dry-run --json` prints it."""
        event = self.event
        kind = event.kind if isinstance(event, ev.CapitalRecorded) else "conversion"
        return {
            "event": str(kind),
            "ref": event.ref,
            "balances_before": {a: plain(v) for a, v in self.balances_before.items()},
            "balances_after": {a: plain(v) for a, v in self.balances_after.items()},
            "capital_before": plain(self.capital_before),
            "capital_after": plain(self.capital_after),
            "equity_before": plain(self.equity_before),
            "net_basis_before": plain(self.net_basis_before),
            "net_basis_after": plain(self.net_basis_after),
            "breaches": self.breaches,
        }


def equity(world: World) -> Decimal:
    """Capital plus open profit at the marks; a position without a mark counts at its basis."""
    ledger = world.ledger
    return ledger.capital + unrealized_pnl(ledger.exposures.open(), world.quote)


def takes_ref(wish: msg.BookCapital | msg.BookConversion) -> bool:
    """Whether a reference tells it apart from others; the initial basis has its own. Raises Refused
    where that one is given to something else."""
    if isinstance(wish, msg.BookCapital) and wish.kind is CapitalKind.INIT_BASIS:
        return False
    if wish.ref == SYNTHETIC_BASIS:
        raise Refused(f"--ref {SYNTHETIC_BASIS} is the initial basis; give the transfer's own id")
    return True


def check_same(wish: msg.BookCapital | msg.BookConversion, booked: object) -> None:
    """The reference was given before: by the same command, whose answer was lost. Raises Refused
    where it was another one: nothing is taken for booked that is not."""
    if isinstance(wish, msg.BookConversion):
        theirs = (wish.from_asset, wish.from_amount, wish.to_asset, wish.to_amount)
        ours: object = isinstance(booked, ev.ConversionBooked) and (
            booked.from_asset, booked.from_amount, booked.to_asset, booked.to_amount,
        )  # fmt: skip
        same = theirs == ours
    else:
        same = isinstance(booked, ev.CapitalRecorded) and _says(wish, booked)
    if same:
        return
    what = "something else"
    if isinstance(booked, ev.CapitalRecorded):
        what = f"a {booked.kind} of {plain(abs(booked.amount))} {booked.asset}"
    elif isinstance(booked, ev.ConversionBooked):
        what = f"a conversion of {plain(booked.from_amount)} {booked.from_asset}"
    raise Refused(f"{wish.ref} is booked as {what}: give --ref with the id of this transfer")


def _says(wish: msg.BookCapital, booked: ev.CapitalRecorded) -> bool:
    if wish.kind != booked.kind:
        return False
    if wish.kind is CapitalKind.BASIS_COMMIT:
        return wish.amount in (ZERO, booked.basis_delta)
    amount = -wish.amount if wish.kind is CapitalKind.WITHDRAWAL else wish.amount
    price = None if wish.price == ONE and booked.price is None else wish.price
    return (wish.asset, amount, price) == (booked.asset, booked.amount, booked.price)


def plan(wish: msg.BookCapital, world: World, breaches: Breaches) -> CapitalPlan:
    """Decide on a capital event. Raises Refused, Busy."""
    ledger = world.ledger
    if not ledger.totals:
        raise Refused("the books have no opening balance yet: run once, then book capital")
    kind = wish.kind
    if kind is CapitalKind.OPENING:
        raise Refused("opening balances are adopted at the first start")
    if kind is CapitalKind.INIT_BASIS:
        event = _initial_basis(wish, world)
    elif kind is CapitalKind.BASIS_COMMIT:
        event = _committed(wish, world)
    else:
        event = _moved(wish, world)
    value, delta = event.value or ZERO, event.basis_delta or ZERO
    value_told = ledger.funds.told_before(event.asset, event.amount)  # the wallet has it already
    after = _after(world, {event.asset: event.amount})
    prices = {**wish.prices, **({event.asset: event.price} if event.price is not None else {})}
    return CapitalPlan(
        event=event,
        key=f"capital|{event.ref}",
        balances_before={asset: ledger.totals.get(asset, ZERO) for asset in after},
        balances_after=after,
        capital_before=ledger.capital,
        capital_after=ledger.capital + value - value_told,
        equity_before=event.equity_before or ZERO,
        net_basis_before=ledger.net_basis,
        net_basis_after=ledger.net_basis + delta,
        breaches=breaches(ledger.totals | after, prices),
    )


def plan_conversion(wish: msg.BookConversion, world: World, breaches: Breaches) -> CapitalPlan:
    """Decide on a conversion of one asset into another. Raises Refused, Busy."""
    ledger = world.ledger
    source, target = wish.from_asset, wish.to_asset
    for asset, amount in ((source, wish.from_amount), (target, wish.to_amount)):
        _check_asset(asset, world)
        _check_amount(amount, "a conversion")
        _check_idle(asset, world)
    if source == target:
        raise Refused(f"{source} into itself is no conversion")
    _check_free(source, wish.from_amount, world)
    realized = ZERO
    cost = ledger.inventory.prices().get(source)
    if source in ledger.quotes and target in ledger.quotes:
        realized = wish.to_amount - wish.from_amount
    elif target in ledger.quotes and cost is not None:
        costed = min(wish.from_amount, ledger.inventory.qty(source))
        realized = wish.to_amount * costed / wish.from_amount - costed * cost
    told = ledger.funds.told_before(source, -wish.from_amount)
    told += ledger.funds.told_before(target, wish.to_amount)
    text = f"conversion|{source}|{wish.from_amount}|{target}|{wish.to_amount}"
    event = ev.ConversionBooked(
        from_asset=source,
        from_amount=wish.from_amount,
        to_asset=target,
        to_amount=wish.to_amount,
        realized=realized,
        ref=wish.ref or _own_ref(text, world),
        who=wish.who,
        why=wish.why,
    )
    after = _after(world, {source: -wish.from_amount, target: wish.to_amount})
    return CapitalPlan(
        event=event,
        key=f"capital|{event.ref}",
        balances_before={asset: ledger.totals.get(asset, ZERO) for asset in after},
        balances_after=after,
        capital_before=ledger.capital,
        capital_after=ledger.capital + realized - told,
        equity_before=equity(world),
        net_basis_before=ledger.net_basis,
        net_basis_after=ledger.net_basis,
        breaches=breaches(ledger.totals | after, {}),
    )


def _moved(wish: msg.BookCapital, world: World) -> ev.CapitalRecorded:
    """A deposit, a withdrawal or a realignment: a balance moves."""
    assert wish.kind in _MOVES
    _check_asset(wish.asset, world)
    is_signed = wish.kind is CapitalKind.REALIGNMENT
    if is_signed and not wish.amount:
        raise Refused("a realignment of 0 changes nothing: give the venue less the books")
    _check_amount(abs(wish.amount) if is_signed else wish.amount, f"a {wish.kind}")
    price = _price(wish, world)
    if wish.kind is CapitalKind.DEPOSIT:
        _check_unresolved(wish.asset, world)
    _check_idle(wish.asset, world)
    amount = -wish.amount if wish.kind is CapitalKind.WITHDRAWAL else wish.amount
    if amount < 0:
        _check_free(wish.asset, -amount, world)
    value = amount * (ONE if price is None else price)
    told = world.ledger.funds.told_before(wish.asset, amount)
    before, basis = equity(world) - told, world.ledger.net_basis
    basis_delta = ZERO
    if wish.kind is CapitalKind.DEPOSIT:
        basis_delta = value
    elif wish.kind is CapitalKind.WITHDRAWAL:
        basis_delta = withdrawal_basis(-value, before, basis)
    text = f"{wish.kind}|{wish.asset}|{plain(amount)}|{price}"
    return _event(wish, world, amount, price, value, basis_delta, before, text)


def _initial_basis(wish: msg.BookCapital, world: World) -> ev.CapitalRecorded:
    """The opening balances that no price was known of get one: once in the life of a database."""
    funds = world.ledger.funds
    if funds.has_initial_basis:
        raise Refused("the initial basis is written already, and only once: see `capital show`")
    for asset in wish.prices:
        if asset not in funds.unpriced:
            names = ", ".join(funds.unpriced) or "none"
            raise Refused(f"{asset} needs no price: opening balances without one: {names}")
    missing = [asset for asset in funds.unpriced if asset not in wish.prices]
    if missing:
        raise Refused(
            f"no price for {', '.join(missing)} of the opening balance: --price {missing[0]}=PRICE"
        )
    for asset, price in wish.prices.items():
        _check_amount(price, f"a price of {asset}")
    value = sum((qty * wish.prices[asset] for asset, qty in funds.unpriced.items()), ZERO)
    quote = min(world.ledger.quotes, default=wish.asset)
    return _event(
        wish, world, ZERO, None, value, value, equity(world), SYNTHETIC_BASIS, asset=quote
    )


def _committed(wish: msg.BookCapital, world: World) -> ev.CapitalRecorded:
    """Profit becomes basis: by hand only, and never more than there is."""
    ledger = world.ledger
    if wish.amount:
        _check_amount(wish.amount, f"a {wish.kind}")
    profit = equity(world) - ledger.net_basis
    amount = profit if not wish.amount else wish.amount
    if amount <= 0 or amount > profit:
        raise Refused(
            f"profit that may be committed: {plain(max(profit, ZERO))} (equity "
            f"{plain(profit + ledger.net_basis)} over a basis of {plain(ledger.net_basis)})"
        )
    quote = min(ledger.quotes, default=wish.asset)
    text = f"basis_commit|{plain(amount)}"
    before = equity(world)
    return _event(wish, world, ZERO, None, ZERO, amount, before, text, asset=quote)


def _event(
    wish: msg.BookCapital,
    world: World,
    amount: Decimal,
    price: Decimal | None,
    value: Decimal,
    basis_delta: Decimal,
    equity_before: Decimal,
    text: str,
    *,
    asset: str = "",
) -> ev.CapitalRecorded:
    is_initial = wish.kind is CapitalKind.INIT_BASIS
    return ev.CapitalRecorded(
        kind=wish.kind,
        asset=asset or wish.asset,
        amount=amount,
        price=price,
        source_note=SYNTHETIC_BASIS if is_initial else wish.why,
        value=value,
        basis_delta=basis_delta,
        equity_before=equity_before,
        net_basis_before=world.ledger.net_basis,
        prices=dict(wish.prices) if is_initial else {},
        ref=SYNTHETIC_BASIS if is_initial else wish.ref or _own_ref(text, world),
        who=wish.who,
        why=wish.why,
    )


def _own_ref(text: str, world: World) -> str:
    """Who gives no reference of the venue gets one of the content and the day: the same command,
    repeated because its answer was lost, is booked once."""
    day = iso_utc(world.now_us)[:10]
    return f"{day}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def ref_of_yesterday(ref: str, world: World) -> str:
    """The reference that the same command got a day before."""
    return f"{iso_utc(world.now_us - _DAY_US)[:10]}{ref[10:]}"


def _price(wish: msg.BookCapital, world: World) -> Decimal | None:
    """Of an asset that is no quote asset, and of none that is one (L8, N06)."""
    quotes = world.ledger.quotes
    if wish.asset in quotes:
        if wish.price not in (None, ONE):
            raise Refused(f"{wish.asset} is a quote asset: its price is 1, not {wish.price}")
        return None
    if wish.price is None:
        raise Refused(
            f"a {wish.kind} of {wish.asset} needs its price in {' or '.join(sorted(quotes))} at "
            "the time: --price"
        )
    _check_amount(wish.price, f"a price of {wish.asset}")
    return wish.price


def _check_amount(amount: Decimal, what: str) -> None:
    if not amount.is_finite() or amount <= 0:
        raise Refused(f"{what} must be above zero, not {amount}")
    if abs(amount.adjusted()) >= DIVISION.prec:
        raise Refused(f"{what} of {amount:.6E}: check the number of zeros")


def _check_asset(asset: str, world: World) -> None:
    known = set(world.ledger.totals)
    for spec in world.ledger.instruments.values():
        known |= {spec.quote} if spec.is_margined else {spec.base, spec.quote}
    if asset not in known:
        near = get_close_matches(asset.upper(), sorted(known), n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
        raise Refused(f"no asset {asset!r} in these books: {hint}")


def _check_unresolved(asset: str, world: World) -> None:
    """Shares that have paid out are worth nothing more: they would stay for ever."""
    for name in world.ledger.resolved:
        spec = world.ledger.instruments.get(name)
        if spec is not None and not spec.is_margined and spec.base == asset:
            raise Refused(f"{name} has paid out: deposit what its {asset} brought, in {spec.quote}")


def _check_idle(asset: str, world: World) -> None:
    for order in world.orders.values():
        spec = world.instruments.get(order.instrument)
        concerns = spec is not None and asset in (spec.base, spec.quote)
        if concerns and order.state in _IN_FLIGHT:
            raise Busy(
                f"order {order.client_order_id} on {order.instrument} is {order.state}: {asset} "
                "is not booked beside an order in flight; try again, or pause first"
            )


def _check_free(asset: str, amount: Decimal, world: World) -> None:
    ledger = world.ledger
    free = ledger.balance(asset).free
    if asset in ledger.margin_assets:
        free -= ledger.margin_used
    if amount > free:
        raise Refused(f"{plain(amount)} {asset} is more than the {plain(free)} that is free")


def _after(world: World, deltas: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """What the balances would be. Raises Refused where one of both would be rounded away: a wrong
    number of zeros must not cost what is there."""
    after = {}
    for asset, delta in deltas.items():
        for held in (world.ledger.funds.contributed, world.ledger.totals.get(asset, ZERO)):
            after[asset] = DIVISION.add(held, delta)
            lost = abs(EXACT.subtract(EXACT.add(held, delta), after[asset]))
            least = min(abs(one) for one in (held, delta, ONE) if one)
            if lost > _ROUNDING_MAX * least:
                raise Refused(f"{delta:.6E} {asset} beside {plain(held)}: check the amount's zeros")
    return after
