"""Pages of fills: booked piece by piece, each fill once, the watermark with the last piece."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from actors.reconciling.externals import is_of_our_order
from actors.reconciling.passes import Pass
from actors.world import World
from fsm import facts
from fsm.requests import QueryFills

PAGE, PAGE_MAX = 1_000, 64_000


def steps(
    page: facts.FillsPage, run: Pass, opened_us: int, world: World
) -> Iterator[facts.OrderFill | None]:
    """Every fill of the page that is not in the books. What the account did before its opening
    balances were taken is in them (X12); an order of ours cannot have filled before, whatever
    the venue's clock says."""
    for fill in page.fills:
        early = 0 < fill.venue_us < opened_us and not is_of_our_order(fill, world)
        before = run.opening or early
        if run.opening:
            run.newest_us = max(run.newest_us, fill.venue_us)
        yield None if before or world.is_booked(fill) else evolve(fill, fetched=True)


def first_query(world: World, instrument: str, watermark_us: int) -> QueryFills:
    """From the watermark back by the venue's lateness. A watermark that lies ahead of our clock
    came from a venue's clock that had jumped: then from now."""
    known = min(watermark_us, world.now_us)
    return query(world, instrument, max(known - world.rules.fills_overlap_us, 0))


def next_query(world: World, asked: QueryFills, page: facts.FillsPage) -> QueryFills | None:
    """The page that follows, from the last fill's own time on, so that none of that moment is
    lost; a moment that fills a page asks for a larger one. None: it never gets on (L9)."""
    last_us = last_of(page, asked)
    limit = asked.limit if last_us > asked.since_us else asked.limit * 2
    return None if limit > PAGE_MAX else query(world, asked.instrument, last_us, limit)


def last_of(page: facts.FillsPage, asked: QueryFills) -> int:
    """Up to which venue time the page tells."""
    return max((fill.venue_us for fill in page.fills), default=asked.since_us)


def query(world: World, instrument: str, since_us: int, limit: int = PAGE) -> QueryFills:
    """A question for the fills of an instrument."""
    return QueryFills(
        request_id=world.ids.next("q"), instrument=instrument, since_us=since_us, limit=limit
    )
