"""anchor_saturation: an instrument has moved away from its anchor, beyond what is usual (N18, N22).

The distance of the two middle prices in basis points, less its own moving average, is looked at
once the average is warm. Before that there is no observation at all: neither to enter nor to leave.
The average goes on while the system is idle, so that a level that has shifted becomes the usual
one: whatever level stays, the way out is open.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Any

from actors.guards.base import Gauge, Guard, Trip
from actors.guards.latch import Latch
from actors.guards.quotes import fresh_mid
from actors.world import World
from fsm.money import ZERO, divide, plain

_BPS = Decimal(10_000)
_SHOWN = Decimal("0.01")


class AnchorSaturation(Guard):
    """Takes the system to IDLE, where nothing is quoted and no episode is spent."""

    name = "anchor_saturation"
    breaker = "anchor_saturation_guard"
    token = "ANCHOR_SAT"

    def __init__(self, settings: Any, latch: Latch, interval_us: int) -> None:
        super().__init__(settings, latch, interval_us)
        self.residuals: deque[Decimal] = deque(maxlen=settings.lookback)
        self.average: Decimal | None = None
        self.well_ticks = 0
        self._weight = Decimal(2) / (settings.baseline_ticks + 1)

    def observe(self, world: World) -> None:
        """One basis; a missing or stale quote on either side is skipped."""
        held = self.settings
        if not held.instrument:
            return
        mid, anchor = fresh_mid(world, held.instrument), fresh_mid(world, held.anchor)
        if mid is None or anchor is None or anchor <= 0:
            return
        basis = divide(mid - anchor, anchor) * _BPS
        if self.average is None:
            self.average = basis
        if self.observations >= held.warm_ticks:
            residual = basis - self.average
            self.residuals.append(max(-held.cap_bps, min(held.cap_bps, residual)))
            is_well = self._is_full() and self._calm()
            self.well_ticks = self.well_ticks + 1 if is_well else 0
        self.average = divide(self.average + self._weight * (basis - self.average), Decimal(1))
        self.observations += 1

    def _is_full(self) -> bool:
        return len(self.residuals) == self.settings.lookback

    def _mean(self) -> Decimal:
        return divide(abs(sum(self.residuals, ZERO)), Decimal(len(self.residuals)))

    def _share_pct(self) -> Decimal:
        """Percent of the lookback that lies beyond `beyond_bps`."""
        beyond = sum(1 for one in self.residuals if abs(one) > self.settings.beyond_bps)
        return divide(Decimal(100 * beyond), Decimal(len(self.residuals)))

    def _calm(self) -> bool:
        held = self.settings
        return bool(self._mean() < held.exit_mean_bps and self._share_pct() < held.exit_share_pct)

    def trips(self, world: World) -> Trip | None:
        """Mean and share over a full lookback."""
        held = self.settings
        if not self._is_full():
            return None
        mean, share = self._mean(), self._share_pct()
        if mean < held.entry_mean_bps or share < held.entry_share_pct:
            return None
        self.well_ticks = 0
        return Trip(
            f"{held.instrument} lies {_shown(mean)} bps off {held.anchor} on average, "
            f"{_shown(share)} % beyond {plain(held.beyond_bps)} bps",
            {
                "instrument": held.instrument,
                "anchor": held.anchor,
                "mean_bps": _shown(mean),
                "share_pct": _shown(share),
                "lookback": held.lookback,
                "baseline_bps": _shown(self.average or ZERO),
            },
        )

    def is_well(self, world: World) -> bool:
        """So many observations in a row were calm."""
        return bool(self.well_ticks >= self.settings.exit_ticks)

    def cleared(self) -> None:
        """The way out is counted anew; what is usual stays known."""
        self.well_ticks = 0

    def gauge(self, world: World) -> Gauge:
        """Mean of the residual over the lookback, basis points."""
        held = self.settings
        context = {"well_ticks": self.well_ticks}
        if not self.residuals:
            left = max(held.warm_ticks - self.observations, 0)
            return Gauge(
                "mean residual, bps", None, held.entry_mean_bps, context | {"warm_in_ticks": left}
            )
        return Gauge(
            "mean residual, bps",
            self._mean().quantize(_SHOWN),
            held.entry_mean_bps,
            {
                **context,
                "share_pct": _shown(self._share_pct()),
                "baseline_bps": _shown(self.average or ZERO),
            },
        )


def _shown(value: Decimal) -> str:
    return plain(value.quantize(_SHOWN))
