"""Market data on its way through the core: what follows from a quote, which mostly is nothing.

Responsible for the order in which positions and strategies hear of it; what they decide is
recorded by the system.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

from actors import messages as msg
from actors.markets import Markets
from actors.runtime.actor import Decision
from actors.strategy_host import StrategyHost
from fsm.market import MarketTrade, Tick


@frozen(slots=True)
class MarketFollows:
    """What follows from a quote: positions that it concerns, a strategy's decision, and how many
    of the strategies were asked already."""

    tick: Tick
    crossed: Sequence[msg.PriceCrossed]
    decision: Decision | None = None
    hosts_asked: int = 0


class MarketDesk:
    """Takes quotes and trades to the markets' view and to the strategies."""

    def __init__(self, markets: Markets, hosts: Sequence[StrategyHost]) -> None:
        self._markets = markets
        self._hosts: dict[str, list[StrategyHost]] = {}
        for host in hosts:
            self._hosts.setdefault(host.window.instrument.name, []).append(host)

    def look(self, data: object) -> MarketFollows | None:
        """What follows from it; None when nothing does. Exits come first: a strategy sees the
        world after them."""
        if type(data) is not Tick:
            assert isinstance(data, MarketTrade)
            self._trade(data)
            return None
        crossed = self._markets.on_tick(data)
        if crossed:
            return MarketFollows(data, crossed)
        for asked, host in enumerate(self._hosts.get(data.instrument, ()), start=1):
            decision = host.on_tick(data, self._markets.world)
            if decision is not None:
                return MarketFollows(data, (), decision, asked)
        return None

    def others(self, follows: MarketFollows) -> Iterator[tuple[StrategyHost, Decision]]:
        """The decisions of the strategies that were not asked yet, one by one."""
        for host in self._hosts.get(follows.tick.instrument, [])[follows.hosts_asked :]:
            decision = host.on_tick(follows.tick, self._markets.world)
            if decision is not None:
                yield host, decision

    def _trade(self, trade: MarketTrade) -> None:
        self._markets.on_trade(trade)
        for host in self._hosts.get(trade.instrument, ()):
            host.on_trade(trade, self._markets.world)
