"""A filled quantity without its fills: they are asked for from the order's own beginning."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from fsm import facts
from fsm.requests import QueryFills
from fsm.timestamps import SECOND_US
from tests.unit.engine.handmade import START_US, Bench, fill, reported

D = Decimal


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An old order, and a watermark that is far past its beginning."""
    bench = Bench(tmp_path)
    for name in ("a", "z"):
        bench.place(name)
        bench.accept(name)
    bench.venue.open = {name: reported(name) for name in ("a", "z")}
    bench.wait(200)
    bench.venue.open.pop("z")
    bench.venue.fills = [fill("tz", "10", "z", venue_us=bench.clock.now_us())]
    bench.wait(10)
    return bench


def early_fill(bench: Bench) -> facts.OrderFill:
    """What was traded long before the watermark, and shows only now."""
    found = fill("ta", "4", venue_us=START_US + 1)
    assert bench.venue.fills is not None
    bench.venue.fills.insert(0, found)
    return found


def asked_since(bench: Bench, sent: int) -> list[int]:
    return [r.since_us for r in bench.venue.sent[sent:] if isinstance(r, QueryFills)]


def test_a_fill_far_behind_the_watermark_is_fetched_when_the_venue_reports_its_quantity(
    bench: Bench,
) -> None:
    [mark] = bench.engine.books.reconciler.watermarks.values()
    assert mark - 100 * SECOND_US > START_US
    early_fill(bench)
    bench.venue.open = {"a": reported(filled="4")}
    sent = len(bench.venue.sent)
    bench.wait(6)

    assert D(4) == bench.order().filled_qty
    assert min(asked_since(bench, sent)) <= START_US
    bench.proven()


def test_it_is_booked_once_and_not_asked_for_again(bench: Bench) -> None:
    early_fill(bench)
    bench.venue.open = {"a": reported(filled="4")}
    bench.wait(6)
    sent = len(bench.venue.sent)
    bench.wait(60)

    assert D(4) == bench.position().qty
    assert all(since > START_US + SECOND_US for since in asked_since(bench, sent))
    bench.proven()


def test_an_order_that_ended_at_the_venue_gets_its_early_fill_before_its_end(
    bench: Bench,
) -> None:
    early_fill(bench)
    bench.venue.open = {}
    bench.venue.orders["a"] = reported(state="canceled", filled="4")
    bench.wait(10)

    assert D(4) == bench.order().filled_qty
    assert "CANCELED" == bench.order().state
    assert D(4) == bench.position().qty
    bench.proven()
