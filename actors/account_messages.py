"""Messages to the account. Imported as part of `actors.messages`."""

from __future__ import annotations

from decimal import Decimal

from attrs import field, frozen

from fsm.money import ZERO
from fsm.vocabulary import CapitalKind


@frozen(slots=True, kw_only=True)
class BookCapital:
    """A person says that capital came or went, or what it counts for.

    `amount` is positive; signed for a realignment; 0 commits all profit. `price` in quote units of
    an asset that is no quote asset; `prices` those of an initial basis. `ref` is the id of the
    transfer at the venue: each is booked once.
    """

    kind: CapitalKind
    asset: str = ""
    amount: Decimal = ZERO
    price: Decimal | None = None
    prices: dict[str, Decimal] = field(factory=dict)
    ref: str = ""
    who: str = ""
    why: str = ""
    accept_breaches: bool = False


@frozen(slots=True, kw_only=True)
class BookConversion:
    """A person says that the venue turned one asset into another; both amounts are positive."""

    from_asset: str
    from_amount: Decimal
    to_asset: str
    to_amount: Decimal
    ref: str = ""
    who: str = ""
    why: str = ""
    accept_breaches: bool = False


@frozen(slots=True)
class WalletSeen:
    """What a comparison that found the books in order saw of the wallets, as asked then."""

    balances: dict[str, Decimal]
    asked_us: int
