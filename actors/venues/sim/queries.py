"""Answers to queries, from the venue's truth. A simulated venue is never `Unavailable` itself."""

from __future__ import annotations

from actors.venues.sim.exchange import Exchange
from fsm.facts import (
    Absent,
    BalancesAnswer,
    FillsAnswer,
    Found,
    OpenOrdersAnswer,
    OrderAnswer,
    PositionReport,
    PositionsAnswer,
    Unavailable,
    VenueAnswer,
)
from fsm.requests import Query, QueryBalances, QueryFills, QueryOpenOrders, QueryOrder


def answer(exchange: Exchange, query: Query) -> VenueAnswer:
    """What the venue says to a query at `exchange.now_us`."""
    now_us = exchange.now_us
    if isinstance(query, QueryOrder):
        order = exchange.find(query.client_order_id, query.venue_order_id)
        return OrderAnswer(
            request_id=query.request_id,
            client_order_id=query.client_order_id,
            result=Found(order.report(now_us)) if order else Absent("no such client order id"),
        )
    if isinstance(query, QueryOpenOrders):
        reports = tuple(order.report(now_us) for order in exchange.open.values())
        return OpenOrdersAnswer(request_id=query.request_id, result=Found(reports))
    if isinstance(query, QueryFills):
        until_us = now_us - exchange.settings.fills_lateness_us
        page = exchange.store.fills(query.instrument, query.since_us, until_us, query.limit)
        return FillsAnswer(
            request_id=query.request_id, instrument=query.instrument, result=Found(page)
        )
    if isinstance(query, QueryBalances):
        return BalancesAnswer(
            request_id=query.request_id, result=Found(dict(exchange.funds.totals))
        )
    positions = tuple(
        PositionReport(
            instrument=name, qty=position.qty, avg_price=position.avg_price, venue_us=now_us
        )
        for name, position in exchange.funds.positions.items()
        if position.qty
    )
    return PositionsAnswer(request_id=query.request_id, result=Found(positions))


def unanswered(query: Query, reason: str) -> VenueAnswer:
    """The answer to a query that could not be asked or answered (L3)."""
    result = Unavailable(reason)
    if isinstance(query, QueryOrder):
        return OrderAnswer(
            request_id=query.request_id, client_order_id=query.client_order_id, result=result
        )
    if isinstance(query, QueryOpenOrders):
        return OpenOrdersAnswer(request_id=query.request_id, result=result)
    if isinstance(query, QueryFills):
        return FillsAnswer(request_id=query.request_id, instrument=query.instrument, result=result)
    if isinstance(query, QueryBalances):
        return BalancesAnswer(request_id=query.request_id, result=result)
    return PositionsAnswer(request_id=query.request_id, result=result)
