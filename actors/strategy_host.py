"""Runs one strategy on its instrument's quotes and turns its signals into recorded wishes.

The host's state is transient: a restarted strategy warms up again, while its open positions are
protected by the journal's own levels.
"""

from __future__ import annotations

from attrs import define
from loguru import logger

from actors import messages as msg
from actors.effects import Notify
from actors.runtime.actor import Decision
from actors.strategies.base import Signal, Strategy, Window
from actors.world import World
from fsm import events as ev
from fsm.market import MarketTrade, Tick
from fsm.mode import Permission


@define(slots=True)
class StrategyHost:
    """One strategy and its window."""

    strategy: Strategy
    window: Window
    failed: str | None = None

    @property
    def name(self) -> str:
        """The strategy's name."""
        return self.strategy.name

    @property
    def address(self) -> str:
        """Not a stream: what it says is in the signals' streams."""
        return f"strategy/{self.name}"

    def on_tick(self, tick: Tick, world: World) -> Decision | None:
        """Let the strategy look; None when there is nothing to record."""
        window = self.window
        window.observe(tick)
        window.now_us = world.now_us
        if self.failed is not None or world.is_off(self.name):
            return None
        if not world.permitted(Permission.ENTRY) or self._has_open_position(world):
            return None
        try:
            signal = self.strategy.evaluate(window)
        except Exception as problem:
            logger.opt(exception=problem).error("STRATEGY_FAILED strategy={}", self.name)
            return self._raised(problem, world)
        return None if signal is None else self._signal(signal, tick, world)

    def on_trade(self, trade: MarketTrade, world: World) -> None:
        """Keep the last trade."""
        self.window.trade = trade

    def _has_open_position(self, world: World) -> bool:
        return world.open_of_strategy.get((self.name, self.window.instrument.name), 0) > 0

    def _raised(self, problem: Exception, world: World) -> Decision:
        """Its entries are blocked, its positions stay protected, people hear of it (L8, X20)."""
        self.failed = f"{type(problem).__name__}: {problem}"
        world.disabled_strategies.add(self.name)
        anomaly = ev.AnomalyRecorded(
            kind="strategy_failed",
            seen=f"{self.name}: {self.failed}",
            done="its entries are blocked",
        )
        alert = ev.AlertRaised(
            severity="critical", token="STRATEGY_FAILED", text=f"{self.name}: {self.failed}"
        )
        return Decision(events=[anomaly], effects=[Notify(alert)])

    def _signal(self, signal: Signal, tick: Tick, world: World) -> Decision:
        return raised(signal, self.name, self.window.instrument.name, tick, world)


def raised(
    signal: Signal, strategy: str, instrument: str, tick: Tick | None, world: World
) -> Decision:
    """The recorded wish, on its way to the door in the same turn."""
    event = ev.SignalRaised(
        signal_id=world.ids.next("s"),
        strategy=strategy,
        instrument=instrument,
        side=signal.side,
        qty=signal.qty,
        notional=signal.notional,
        stop=signal.stop,
        take_profit=signal.take_profit,
        trailing=signal.trailing,
        expires_in_us=signal.expires_in_us,
        bid=tick.bid if tick else None,
        ask=tick.ask if tick else None,
        event_us=tick.event_us if tick else world.now_us,
        inputs=dict(signal.inputs),
    )
    return Decision(events=[event], tells=[msg.SignalForDoor(event)])
