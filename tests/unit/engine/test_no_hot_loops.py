"""A venue that answers at once with what leads nowhere: no loop within one instant (L9)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from actors import messages as msg
from actors import simulation
from fsm import facts
from fsm.order import OrderState
from fsm.position import PositionState
from fsm.requests import Cancel, Submit, VenueRequest
from tests.unit.engine.handmade import Bench, HandVenue, fill, reported

D = Decimal
Answer = Callable[[VenueRequest], list[facts.VenueMessage]]


class AnsweringVenue(HandVenue):
    """Says at once, to each request, what a test wants it to say."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer

    def send(self, request: VenueRequest) -> None:
        super().send(request)
        self.said += self.answer(request)


@pytest.fixture(autouse=True)
def _a_loop_ends_the_test_and_not_the_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "_SETTLE_MAX", 2_000)


def refuse(request: VenueRequest) -> list[facts.VenueMessage]:
    if not isinstance(request, Cancel):
        return []
    return [facts.CancelRefused(client_order_id=request.client_order_id, reason="not now")]


def fill_a_little_and_cancel(request: VenueRequest) -> list[facts.VenueMessage]:
    if not isinstance(request, Submit) or request.client_order_id == "a":
        return []
    name = request.client_order_id
    return [fill(f"x-{name}", "0.01", name), facts.OrderCanceled(client_order_id=name)]


def test_a_venue_that_refuses_every_cancel_of_a_live_order_is_asked_again_only_by_the_passes(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, venue=AnsweringVenue(refuse))
    bench.place()
    bench.accept()
    bench.venue.open = {"a": reported()}
    sent = len(bench.venue.sent)
    bench.tell(msg.CancelOrder("a", "test", by_engine=True))

    assert 3 > bench.cancels()
    assert 10 > len(bench.venue.sent) - sent
    at_once = bench.cancels()
    bench.wait(30)
    assert at_once < bench.cancels() <= at_once + 40, "it goes on, as often as it looks"
    bench.proven()


def test_a_cancel_that_was_refused_often_and_then_works_ends_the_order(tmp_path: Path) -> None:
    venue = AnsweringVenue(refuse)
    bench = Bench(tmp_path, venue=venue)
    bench.place()
    bench.accept()
    venue.open = {"a": reported()}
    bench.tell(msg.CancelOrder("a", "test", by_engine=True))
    bench.wait(10)
    venue.answer = lambda request: []
    venue.open, venue.orders["a"] = {}, reported(state="canceled")
    bench.wait(10)

    assert OrderState.CANCELED is bench.order().state
    bench.proven()


def test_exits_that_are_part_filled_and_cancelled_at_once_are_repeated_with_a_pause(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, venue=AnsweringVenue(fill_a_little_and_cancel))
    bench.place(stop=D("0.9"))
    bench.accept()
    bench.fill("t", "10")
    bench.quote("0.5", "0.51")

    at_once = len(bench.exits())
    assert 1 <= at_once < 5
    bench.wait(20)
    assert at_once < len(bench.exits()) < 100, "it goes on, with pauses"
    assert D(10) - D("0.01") * len(bench.exits()) == bench.position().qty
    assert bench.position().is_open
    bench.proven()


def test_a_part_filled_exit_is_followed_by_one_for_the_rest_and_closes_the_position(
    tmp_path: Path,
) -> None:
    venue = AnsweringVenue(fill_a_little_and_cancel)
    bench = Bench(tmp_path, venue=venue)
    bench.place(stop=D("0.9"))
    bench.accept()
    bench.fill("t", "10")
    bench.quote("0.5", "0.51")
    venue.answer = lambda request: []
    bench.wait(10)
    last = bench.exits()[-1]
    bench.fill("rest", str(bench.position().qty), last.client_order_id)

    assert PositionState.CLOSED is bench.position().state
    bench.proven()
