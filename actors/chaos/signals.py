"""A scenario's signal on its way into the engine: recorded and judged as any strategy's."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from actors.runtime.dispatcher import Turn
from actors.strategies.base import Signal
from actors.strategy_host import raised
from actors.system import _ROUTES, System


@frozen(slots=True)
class RaiseSignal:
    """A strategy of this name wants this, now."""

    signal: Signal
    strategy: str
    instrument: str


def _raise(system: System, message: Any, turn: Turn) -> None:
    quote = system.world.quote(message.instrument)
    decision = raised(message.signal, message.strategy, message.instrument, quote, system.world)
    system._apply(system.books.door, message, decision, turn)


_ROUTES.setdefault(RaiseSignal, _raise)
