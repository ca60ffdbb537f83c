"""What the venue settled by itself: instruments that pay out."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen


@frozen(slots=True, kw_only=True)
class InstrumentSettled:
    """All that the account held of an instrument was paid out, whoever held it (M09).

    `qty` is the account's signed holding in base units, `cash` what came for it in `asset`, the
    quote asset (negative: it left); for a margined instrument what its net position realized.
    `gain` is what shares that were in no position brought over what they had cost, as far as that
    is known: no position realizes it. `late`: what came or was taken back after the first payout,
    settled at the same one.
    """

    instrument: str
    asset: str
    payout: Decimal
    qty: Decimal
    cash: Decimal
    resolution_id: str = ""
    late: bool = False
    venue_us: int = 0
    gain: Decimal = Decimal(0)

    @property
    def stream(self) -> str:
        return "account"
