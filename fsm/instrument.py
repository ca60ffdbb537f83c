"""What can be traded, with the steps and limits that the venue enforces."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

from fsm.money import ZERO
from fsm.vocabulary import InstrumentKind

_INVERSE = (
    "inverse (coin-margined) contracts are not supported: their profit is in the base asset and "
    "not linear in the price; use the contract that is margined in its quote asset"
)
#: Kinds that exist elsewhere and not here, each with what to tell about it.
REFUSED_KINDS = dict.fromkeys(("inverse", "coin-margined", "coin-m"), _INVERSE)


@frozen(slots=True, kw_only=True)
class Instrument:
    """One tradable thing at one venue.

    `price_tick` and `qty_step` are the venue's increments, `min_qty` its smallest order (base
    units), `min_notional` its smallest order value (quote units). A perpetual is margined in its
    quote asset; `max_leverage` bounds what an entry may ask for.
    """

    name: str
    base: str
    quote: str
    kind: InstrumentKind = InstrumentKind.SPOT
    price_tick: Decimal = Decimal("0.0001")
    qty_step: Decimal = Decimal("0.0001")
    min_qty: Decimal = ZERO
    min_notional: Decimal = ZERO
    max_leverage: Decimal = Decimal(1)
    aliases: tuple[str, ...] = ()

    @property
    def is_margined(self) -> bool:
        """True when a position costs margin rather than the asset itself."""
        return self.kind is InstrumentKind.PERPETUAL


def symbol_key(symbol: str) -> str:
    """Symbols that differ in punctuation and case only are one: FET-USDT = FETUSDT."""
    return "".join(ch for ch in symbol.upper() if ch.isalnum())
