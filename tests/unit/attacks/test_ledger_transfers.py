"""Funds that move at a venue of ours and are booked afterwards: both, or none of it, also when the
same command is given again."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define
from trio.testing import wait_all_tasks_blocked

from actors.service_control import ControlHandler
from actors.venues.sim import SimVenue, VenueTruth
from actors.venues.sim.transfers import transfer_in_record
from tests.unit.engine.handmade import SPOT, Bench, HandVenue
from tests.unit.venues.sim_builders import a_venue

D = Decimal
START = {"USD": "1000", "XRP": "1000"}


@define
class TradedBeside(HandVenue):
    """A venue whose funds are ours to move."""

    transfers: Any = None


@define
class Racing:
    """A venue whose first transfer is overtaken by an order that nobody has heard of yet."""

    bench: Bench
    venue: SimVenue
    races: int = 1

    def transfer(self, ref: str, amounts: Mapping[str, Decimal]) -> bool:
        moved = self.venue.transfer(ref, amounts)
        if self.races:
            self.races -= 1
            self.bench.place()
        return moved

    def take_back(self, ref: str, amounts: Mapping[str, Decimal]) -> bool:
        return self.venue.take_back(ref, amounts)


async def asked(bench: Bench, **request: Any) -> dict[str, Any]:
    handler = ControlHandler(bench.engine, lambda reason: None)
    bench.engine.release.answer = handler.answered
    given = {"command": "capital", "who": "test", "why": ""} | request
    answers: list[dict[str, Any]] = []

    async def ask() -> None:
        answers.append(await handler.handle(given))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        while not answers:
            await wait_all_tasks_blocked()
            bench.simulation.settle()
    return answers[0]


def totals(venue: SimVenue) -> dict[str, Decimal]:
    return dict(venue.exchange.state().balances)


@pytest.mark.parametrize("action", ["deposit", "withdraw"])
async def test_a_transfer_that_was_taken_back_is_made_again_with_the_same_reference(
    tmp_path: Path, action: str
) -> None:
    venue = TradedBeside()
    bench = Bench(tmp_path, venue=venue)
    sim = a_venue(balances=START, instruments=(SPOT,))
    venue.transfers = Racing(bench, sim)
    wish = {"action": action, "asset": "USD", "amount": "100", "ref": "T1"}

    refused = await asked(bench, **wish)
    assert "in flight" in refused["error"]
    assert D(1000) == totals(sim)["USD"]
    bench.accept()
    booked = await asked(bench, **wish)
    assert booked["changed"], booked
    again = await asked(bench, **wish)
    assert not again["changed"]
    books = bench.engine.world.ledger.totals
    assert books == totals(sim)
    assert D(1000) + (100 if action == "deposit" else -100) == books["USD"]


def test_what_was_taken_back_stays_so_in_the_venues_record(tmp_path: Path) -> None:
    path = tmp_path / "venue.db"
    venue = a_venue(truth=VenueTruth(path), balances=START, instruments=(SPOT,))
    assert venue.transfer("T1", {"USD": D(5)})
    assert venue.take_back("T1", {"USD": D(5)})
    assert not venue.take_back("T1", {"USD": D(5)})
    venue.close()
    assert transfer_in_record(path, "T1", {"USD": D(5)})
    assert not transfer_in_record(path, "T1", {"USD": D(5)})
    again = a_venue(truth=VenueTruth(path), balances=START, instruments=(SPOT,))
    assert D(1005) == totals(again)["USD"]
    again.close()


async def test_funds_stay_moved_while_their_booking_is_kept_for_later(tmp_path: Path) -> None:
    """The account raised over it once: it is booked when the account is folded again."""
    venue = TradedBeside()
    bench = Bench(tmp_path, venue=venue)
    venue.transfers = a_venue(balances=START, instruments=(SPOT,))
    failures = [RuntimeError("once")]

    def before(address: str, message: object) -> None:
        if address == "account" and failures:
            raise failures.pop()

    bench.engine.system.before_decide = before
    answer = await asked(bench, action="deposit", asset="USD", amount="100", ref="T1")
    assert not answer["ok"]
    assert "is kept" in answer["error"]
    bench.wait(1)
    books = bench.engine.world.ledger.totals
    assert D(1100) == books["USD"]
    assert books == totals(venue.transfers)
