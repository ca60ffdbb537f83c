"""What is held at what it cost: the moving average cost of each asset (`wac`).

A buy moves the average; what goes leaves it as it is, also when nothing is left. Capital that came
in another asset joins at its price (N06). Assets of which no cost is known are not in it.
"""

from __future__ import annotations

from decimal import Decimal

from attrs import define, field

from fsm.money import ZERO, divide
from fsm.vocabulary import Side


@define(slots=True)
class Inventory:
    """Average cost by asset, quote units for one, of what was bought here or came at a price."""

    held: dict[str, tuple[Decimal, Decimal]] = field(factory=dict)
    oversold: dict[str, Decimal] = field(factory=dict)
    """Sold since the last buy beyond what is held here: it took nothing off the average."""

    def qty(self, asset: str) -> Decimal:
        """How much of the asset has a known cost."""
        return self.held.get(asset, (ZERO, ZERO))[0]

    def prices(self) -> dict[str, Decimal]:
        """Average cost of what is held."""
        return {asset: price for asset, (qty, price) in self.held.items() if qty > 0}

    def came(self, asset: str, qty: Decimal, price: Decimal) -> None:
        """A quantity above zero at its price: bought, deposited, converted, or valued later."""
        held, average = self.held.get(asset, (ZERO, ZERO))
        total = held + qty
        self.held[asset] = (total, divide(held * average + qty * price, total))
        self.oversold.pop(asset, None)

    def valued(self, asset: str, qty: Decimal, price: Decimal) -> None:
        """Capital of this asset came at a price, or went (below zero)."""
        if qty > 0:
            self.came(asset, qty, price)
        elif qty < 0:
            self.went(asset, -qty)

    def went(self, asset: str, qty: Decimal) -> None:
        """A quantity above zero was sold, taken out or converted; without a known cost, nothing."""
        if asset not in self.held:
            return  # out of what was there before any fill
        held, average = self.held[asset]
        after = held - qty
        if after < 0:
            self.oversold[asset] = self.oversold.get(asset, ZERO) - after
        self.held[asset] = (max(after, ZERO), average)

    def traded(
        self, asset: str, side: Side, qty: Decimal, price: Decimal | None, *, is_void: bool
    ) -> None:
        """An execution, or one taken back. A buy without a price has no cost that is known; what is
        sold is gone at any price."""
        if side is Side.SELL:
            if is_void:
                self.sale_voided(asset, qty)
            else:
                self.went(asset, qty)
        elif price is not None and qty > 0:
            if is_void:
                self.buy_voided(asset, qty, price)
            else:
                self.came(asset, qty, price)

    def converted(self, asset: str, qty: Decimal) -> tuple[Decimal, Decimal] | None:
        """A quantity became another asset: how much of it had a cost, and which, which goes with
        it; None where nothing is known."""
        held, average = self.held.get(asset, (ZERO, ZERO))
        self.went(asset, qty)
        share = min(held, qty)
        return (share, share * average) if share > 0 else None

    def paid(self, asset: str, qty: Decimal) -> None:
        """A fee took it; below zero it came back, at the average that it left at."""
        if qty > 0:
            self.went(asset, qty)
        else:
            self.sale_voided(asset, -qty)

    def lost(self, asset: str, qty: Decimal) -> None:
        """Somebody traded it away at the venue (X17), or got some: nobody knows at which price."""
        if asset in self.held:
            held, average = self.held[asset]
            self.held[asset] = (max(held - qty, ZERO), average)

    def forget(self, asset: str) -> None:
        """All of it became cash by a payout."""
        self.held.pop(asset, None)
        self.oversold.pop(asset, None)

    def buy_voided(self, asset: str, qty: Decimal, price: Decimal) -> None:
        """A voided buy leaves the average."""
        if asset not in self.held:
            return
        held, average = self.held[asset]
        after = held - qty
        if after <= 0:
            del self.held[asset]
            return
        left = divide(held * average - qty * price, after)
        self.held[asset] = (after, left if left > 0 else average)

    def sale_voided(self, asset: str, qty: Decimal) -> None:
        """A voided sale comes back at the average it left at."""
        if asset not in self.held:
            return
        held, average = self.held[asset]
        beyond = min(self.oversold.get(asset, ZERO), qty)
        if beyond:
            self.oversold[asset] -= beyond
        self.held[asset] = (held + qty - beyond, average)
