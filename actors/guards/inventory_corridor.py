"""inventory_corridor: too much or too little of the base asset, or too little left to pay with.

Watched are the configured spot instruments, or else those on which a quote of ours was placed in
this session. Without a fresh middle price there is no observation. While the value of both assets
is below `value_min` there is nothing to guard: that counts as inside, so that it can be left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from attrs import frozen

from actors.guards.base import Gauge, Guard, Trip
from actors.guards.latch import Latch
from actors.guards.quotes import fresh_mid
from actors.world import World
from fsm import events as ev
from fsm.money import ZERO, divide, plain

_HUNDRED = Decimal(100)
_SHOWN = Decimal("0.01")


@frozen(slots=True)
class Split:
    """How the value of one pair is split. `share_pct` is the base asset's part of `value`."""

    instrument: str
    share_pct: Decimal
    quote: Decimal
    value: Decimal


class InventoryCorridor(Guard):
    """Outside the corridor for some ticks, or below the quote floor at once."""

    name = "inventory_corridor"
    breaker = "inventory_corridor_guard"
    token = "CORRIDOR_GUARD"
    hears = (ev.OrderFilled,)

    def __init__(self, settings: Any, latch: Latch, interval_us: int) -> None:
        super().__init__(settings, latch, interval_us)
        self.outside: dict[str, int] = {}
        self.inside: dict[str, int] = {}
        self._seen: dict[str, Split] = {}

    def _watched(self, world: World) -> Iterable[str]:
        for name in self.settings.instruments or world.quoted:
            spec = world.instruments.get(name)
            if spec is not None and not spec.is_margined:
                yield name

    def _split(self, instrument: str, world: World) -> Split | None:
        mid = fresh_mid(world, instrument)
        return None if mid is None else self._split_of(instrument, mid, world.ledger.totals, world)

    def _split_of(
        self, instrument: str, mid: Decimal, totals: Mapping[str, Decimal], world: World
    ) -> Split:
        spec = world.instruments[instrument]
        base, quote = totals.get(spec.base, ZERO) * mid, totals.get(spec.quote, ZERO)
        value = base + quote
        share = divide(base * _HUNDRED, value) if value > 0 else ZERO
        return Split(instrument, share, quote, value)

    def _is_active(self, split: Split) -> bool:
        return bool(split.value >= self.settings.value_min)

    def _is_outside(self, split: Split) -> bool:
        low, high = self.settings.base_share_min_pct, self.settings.base_share_max_pct
        return self._is_active(split) and not low <= split.share_pct <= high

    def _is_poor(self, split: Split) -> bool:
        return self._is_active(split) and split.quote < self.settings.quote_min

    def observe(self, world: World) -> None:
        """Count ticks outside and inside for each instrument that could be seen."""
        for name in self._watched(world):
            split = self._split(name, world)
            if split is None:
                continue
            self.observations += 1
            self._seen[name] = split
            is_outside = self._is_outside(split)
            self.outside[name] = self.outside.get(name, 0) + 1 if is_outside else 0
            is_well = not is_outside and not self._is_poor(split)
            self.inside[name] = self.inside.get(name, 0) + 1 if is_well else 0

    def trips(self, world: World) -> Trip | None:
        """The floor first: it does not wait for the lookback."""
        for name in self._watched(world):
            split = self._seen.get(name)
            if split is None:
                continue
            if self._is_poor(split):
                return self._floor(split)
            if self.outside.get(name, 0) >= self.settings.lookback:
                low, high = self.settings.base_share_min_pct, self.settings.base_share_max_pct
                return self._tripped(
                    split,
                    f"base share of {name} {_percent(split.share_pct)} % outside "
                    f"{plain(low)}..{plain(high)} % for {self.settings.lookback} ticks",
                )
        return None

    def concerns(self, event: ev.Event, world: World) -> bool:
        """Nothing is watched before the first quote, unless it is configured."""
        return bool(self.settings.instruments or world.quoted)

    def hear(self, what: object, world: World) -> Trip | None:
        """A fill moved the inventory: the floor is looked at in its turn."""
        assert isinstance(what, ev.OrderFilled)
        if what.instrument not in self._watched(world):
            return None
        split = self._split(what.instrument, world)
        return self._floor(split) if split is not None and self._is_poor(split) else None

    def _poor(self, split: Split) -> str:
        limit = plain(self.settings.quote_min)
        return f"{plain(split.quote)} of the quote asset of {split.instrument}, below {limit}"

    def _floor(self, split: Split) -> Trip:
        return self._tripped(split, self._poor(split))

    def _tripped(self, split: Split, condition: str) -> Trip:
        self.inside.clear()
        context = {
            "instrument": split.instrument,
            "base_share_pct": _percent(split.share_pct),
            "quote_total": plain(split.quote),
            "value": plain(split.value),
        }
        return Trip(condition, dict(context))

    def is_well(self, world: World) -> bool:
        """Every watched instrument was inside for the lookback when it was last seen."""
        watched = self._watched(world)
        return all(self.inside.get(name, 0) >= self.settings.lookback for name in watched)

    def cleared(self) -> None:
        """Count anew."""
        self.outside.clear()
        self.inside.clear()
        self._seen.clear()

    def would_breach(
        self, totals: Mapping[str, Decimal], prices: Mapping[str, Decimal], world: World
    ) -> str | None:
        """Outside the corridor or below the floor, at the market or at the price that is given."""
        for name in self._watched(world):
            mid = fresh_mid(world, name) or prices.get(world.instruments[name].base)
            if mid is None:
                continue
            split = self._split_of(name, mid, totals, world)
            if self._is_poor(split):
                return self._poor(split)
            if self._is_outside(split):
                low, high = self.settings.base_share_min_pct, self.settings.base_share_max_pct
                share = _percent(split.share_pct)
                return f"base share of {name} would be {share} %, not {plain(low)}..{plain(high)} %"
        return None

    def gauge(self, world: World) -> Gauge:
        """The base share that is nearest to a border, or beyond it."""
        low, high = self.settings.base_share_min_pct, self.settings.base_share_max_pct
        middle = (low + high) / 2
        seen = [self._seen[name] for name in self._watched(world) if name in self._seen]
        worst = max(seen, key=lambda split: abs(split.share_pct - middle), default=None)
        if worst is None:
            return Gauge("distance of the base share from the middle, percent", None, high - middle)
        return Gauge(
            "distance of the base share from the middle, percent",
            abs(worst.share_pct - middle).quantize(_SHOWN),
            high - middle,
            {
                "instrument": worst.instrument,
                "base_share_pct": _percent(worst.share_pct),
                "quote_total": plain(worst.quote),
            },
        )


def _percent(share: Decimal) -> str:
    return plain(share.quantize(_SHOWN))
