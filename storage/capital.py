"""Capital: what was put in and taken out, the basis of every performance figure, and anchors.

`Capital` is the part of the ledger's fold that trading does not move (DESIGN section 6). The basis
is the sum of `basis_delta`; no price and no trade ever moves it. An event that cannot be
interpreted stops the fold with a clear error: nothing is skipped (L8, N06).
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from decimal import Decimal

from attrs import define, field, frozen

from fsm import events as ev
from fsm.events import Recorded
from fsm.money import ZERO
from fsm.vocabulary import CapitalKind
from storage.journal import JournalReader

#: What marks the one initial basis that the tool writes; no rebuild ever writes it.
SYNTHETIC_BASIS = "synthetic_initial_basis"
UNREADABLE = "capital event cannot be read"
#: Where an anchor came from that the venue's own clock has dated.
STREAM = "stream"
_ROUNDING, _ONE_PERCENT = Decimal("0.000001"), Decimal("0.01")
_PRICED = (CapitalKind.DEPOSIT, CapitalKind.WITHDRAWAL, CapitalKind.REALIGNMENT)
_COUNTED = ("CapitalRecorded", "ConversionBooked")


class CapitalUnreadable(Exception):
    """A capital event that cannot be interpreted; the message names it and what is missing."""


def withdrawal_basis(value: Decimal, equity: Decimal, net_basis: Decimal) -> Decimal:
    """How much of a withdrawal comes out of the basis: profit goes first, by the figures before it.

    `value`, `equity` and `net_basis` in quote units, `value` positive; the result is not positive.
    After a loss there is no profit, and all of it is basis; the basis never falls below zero.
    """
    assert value >= 0, f"a withdrawal of {value}"
    profit = max(equity - net_basis, ZERO)
    return -min(max(value - profit, ZERO), max(net_basis, ZERO))


def value_of(event: ev.CapitalRecorded, quotes: Container[str]) -> Decimal | None:
    """What the event is worth in quote units, signed; None for an opening balance without a price.

    `quotes` are the account's quote assets. Raises CapitalUnreadable without its seq.
    """
    if event.kind not in list(CapitalKind):
        raise CapitalUnreadable(f"unknown kind {event.kind!r}")
    if not event.asset or not event.amount.is_finite():
        raise CapitalUnreadable(f"{event.kind} of {event.amount} {event.asset!r}")
    if event.kind == CapitalKind.INIT_BASIS:
        return event.basis_delta or ZERO
    if event.kind == CapitalKind.BASIS_COMMIT:
        return ZERO
    if event.asset in quotes:
        return event.amount
    if event.price is not None and event.price.is_finite() and event.price > 0:
        return event.amount * event.price
    if event.kind in _PRICED:
        raise CapitalUnreadable(
            f"{event.kind} of {event.amount} {event.asset} has no price, and {event.asset} is no "
            "quote asset: what it is worth is not known"
        )
    return None


@define(slots=True)
class Anchor:
    """A margin wallet as the venue told it last: what it held beyond the fold, and as of when."""

    drift: Decimal
    venue_us: int

    def is_just(self, delta: Decimal) -> bool:
        """Whether the drift is this very difference, but for some rounding or a small fee."""
        return abs(self.drift - delta) <= max(_ROUNDING, abs(delta) * _ONE_PERCENT)


@define(slots=True)
class Capital:
    """Contributions, basis and anchors; a function of the events alone."""

    contributed: Decimal = ZERO
    """What came by itself less what went, quote units at the time of each event."""
    net_basis: Decimal = ZERO
    converted: Decimal = ZERO
    """What conversions, and payouts of shares in no position, brought against average cost."""
    has_initial_basis: bool = False
    initial_prices: dict[str, Decimal] = field(factory=dict)
    unpriced: dict[str, Decimal] = field(factory=dict)
    """Opening balances that nobody has valued: they count in no figure in quote units."""
    events: int = 0
    """Capital events but openings, and below what they did to the balances."""
    deltas: dict[str, Decimal] = field(factory=dict)
    anchors: dict[str, Anchor] = field(factory=dict)
    anchored_seq: int = 0
    told_us: dict[str, int] = field(factory=dict)
    """The venue's time of the latest fact or figure of each wallet: an older figure is history."""
    others: Decimal = ZERO
    """What orders of somebody else on margined instruments brought less their fees, quote units."""
    moved_seq: int = 0
    seq: int = 0
    """The event that made the capital figure what it is."""

    @property
    def drift(self) -> Decimal:
        """What the anchored wallets held beyond the fold, quote units."""
        return sum((anchor.drift for anchor in self.anchors.values()), ZERO)

    @property
    def source(self) -> str:
        """`seed`, `e_anchored` (the wallet was told since capital last moved) or `k_bridged`."""
        if self.anchored_seq > self.moved_seq:
            return "e_anchored"
        return "k_bridged" if self.moved_seq else "seed"

    def record(self, event: ev.CapitalRecorded, seq: int, quotes: Container[str]) -> Decimal:
        """Fold one capital event in; its value in quote units. Raises CapitalUnreadable."""
        try:
            value = value_of(event, quotes)
        except CapitalUnreadable as problem:
            raise CapitalUnreadable(f"seq {seq}: {UNREADABLE}: {problem}") from None
        if value is None:
            self.unpriced[event.asset] = self.unpriced.get(event.asset, ZERO) + event.amount
            value = ZERO
        if event.kind == CapitalKind.INIT_BASIS:
            self.has_initial_basis, self.unpriced = True, {}
            self.initial_prices = dict(event.prices)
        self.net_basis += self._basis_delta(event, value)
        self.contributed += value
        self.seq = seq
        self._explained(event.asset, event.amount)
        if event.kind != CapitalKind.OPENING:
            self.events += 1
            self._count(event.asset, event.amount)
        return value

    def told_before(self, asset: str, amount: Decimal) -> Decimal:
        """How much of a capital event the wallet's own figure holds already: a transfer is made at
        the venue first, and what it brought stands there as a difference until it is booked."""
        anchor = self.anchors.get(asset)
        return amount if anchor is not None and amount and anchor.is_just(amount) else ZERO

    def _explained(self, asset: str, amount: Decimal) -> None:
        told = self.told_before(asset, amount)
        if told:
            self.anchors[asset].drift -= told

    def _count(self, asset: str, amount: Decimal) -> None:
        self.deltas[asset] = self.deltas.get(asset, ZERO) + amount

    def _basis_delta(self, event: ev.CapitalRecorded, value: Decimal) -> Decimal:
        if event.basis_delta is not None:
            return event.basis_delta
        if event.kind in (CapitalKind.OPENING, CapitalKind.DEPOSIT):
            return value
        if event.kind == CapitalKind.WITHDRAWAL and event.equity_before is not None:
            return withdrawal_basis(-value, event.equity_before, self.net_basis)
        if event.kind == CapitalKind.WITHDRAWAL:
            return -min(-value, max(self.net_basis, ZERO))
        return ZERO

    def convert(self, event: ev.ConversionBooked, seq: int) -> None:
        """Fold a conversion in: only what it realized moves capital."""
        self.converted += event.realized
        self.events += 1
        for asset, amount in (
            (event.from_asset, -event.from_amount),
            (event.to_asset, event.to_amount),
        ):
            self._explained(asset, amount)
            self._count(asset, amount)
        if event.realized:
            self.moved(seq)

    def anchor(self, event: ev.CapitalAnchored, seq: int) -> None:
        """The figure snaps to the wallet."""
        self.anchors[event.asset] = Anchor(event.drift, event.venue_us)
        if event.origin == STREAM:
            self._told(event.asset, event.venue_us)
        self.anchored_seq = self.seq = seq

    def explain(self, asset: str, delta: Decimal, venue_us: int) -> None:
        """A fact moved a wallet: what the venue's own figure held already is not added to it.

        A fact of an earlier time than the anchor is in it. At the very same time it is, where it is
        just what the drift is: a venue dates a wallet and the trade that changed it alike.
        """
        self._told(asset, venue_us)
        anchor = self.anchors.get(asset)
        if anchor is None or not venue_us or venue_us > anchor.venue_us or not delta:
            return
        if venue_us < anchor.venue_us or anchor.is_just(delta):
            anchor.drift -= delta

    def _told(self, asset: str, venue_us: int) -> None:
        if venue_us > self.told_us.get(asset, 0):
            self.told_us[asset] = venue_us

    def moved(self, seq: int) -> None:
        """Trading moved the capital figure: it is bridged until the next anchor."""
        self.moved_seq = self.seq = seq


@frozen(slots=True)
class CapitalDelta:
    """What capital events did to the balances strictly after a seq; openings are not among them."""

    boundary: int
    events: int
    deltas: dict[str, Decimal]


def delta_of(recorded: Iterable[Recorded], boundary: int) -> CapitalDelta:
    """Sum the capital events among these up, those after `boundary` only."""
    count, deltas = 0, dict[str, Decimal]()
    for at in recorded:
        event = at.event
        if at.seq <= boundary:
            continue
        if isinstance(event, ev.CapitalRecorded) and event.kind != CapitalKind.OPENING:
            count += 1
            deltas[event.asset] = deltas.get(event.asset, ZERO) + event.amount
        elif isinstance(event, ev.ConversionBooked):
            count += 1
            deltas[event.from_asset] = deltas.get(event.from_asset, ZERO) - event.from_amount
            deltas[event.to_asset] = deltas.get(event.to_asset, ZERO) + event.to_amount
    return CapitalDelta(boundary, count, deltas)


def capital_delta_since(reader: JournalReader, ledger_seq: int) -> CapitalDelta:
    """Per-asset deltas and the count of capital events strictly after `ledger_seq` (N04, N05).

    Opening balances are not among them: they are what the deltas are added to.
    """
    return delta_of(reader.events(ledger_seq, types=_COUNTED), ledger_seq)
