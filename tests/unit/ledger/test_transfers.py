"""Funds move at a simulated venue once for each reference, and never without their booking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from actors.service_control import ControlHandler
from actors.venues.sim import SimVenue
from tests.unit.ledger.rigs import SPOT, Account, D, MarginVenue
from tests.unit.venues.sim_builders import a_venue


@pytest.fixture
def venue() -> SimVenue:
    return a_venue(balances={"USD": "1000"}, instruments=(SPOT,))


def funds(venue: SimVenue) -> object:
    return venue.exchange.funds.totals["USD"]


def test_a_reference_moves_funds_once(venue: SimVenue) -> None:
    assert [True, False] == [venue.transfer("tx", {"USD": D(50)}) for _ in range(2)]
    assert D(1050) == funds(venue)


def test_what_was_taken_back_never_was_and_may_come_again(venue: SimVenue) -> None:
    amounts = {"USD": D(50)}
    venue.transfer("tx", amounts)
    assert [True, False] == [venue.take_back("tx", amounts) for _ in range(2)]
    assert D(1000) == funds(venue)
    assert venue.transfer("tx", amounts)
    assert D(1050) == funds(venue)


def test_more_than_is_free_does_not_leave(venue: SimVenue) -> None:
    with pytest.raises(ValueError, match="1000 USD free"):
        venue.transfer("tx", {"USD": D(-1001)})
    assert D(1000) == funds(venue)


@pytest.fixture
def account(tmp_path: Path, venue: SimVenue) -> Account:
    """A service whose venue is ours."""
    account = Account(tmp_path)
    assert isinstance(account.bench.venue, MarginVenue)
    account.bench.venue.transfers = venue
    return account


def asked(account: Account, **request: Any) -> dict[str, Any]:
    """A request at the control socket; the engine takes its turn while the handler waits."""
    handler = ControlHandler(account.bench.engine, stop=lambda reason: None)
    account.bench.engine.release.answer = handler.answered
    answers: list[dict[str, Any]] = []

    async def ask() -> None:
        answers.append(await handler.handle({"command": "capital", **request}))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            while not answers:
                await trio.lowlevel.checkpoint()
                account.bench.simulation.settle()

    trio.run(main)
    return answers[0]


DEPOSIT = {"action": "deposit", "asset": "USD", "amount": "50", "ref": "tx"}


def test_a_deposit_moves_funds_and_is_booked(account: Account, venue: SimVenue) -> None:
    answer = asked(account, **DEPOSIT)
    assert (True, True, "1050") == (
        answer["ok"],
        answer["changed"],
        answer["plan"]["net_basis_after"],
    )
    assert D(1050) == funds(venue) == account.total()


def test_a_dry_run_moves_nothing(account: Account, venue: SimVenue) -> None:
    answer = asked(account, **DEPOSIT, dry_run=True)
    assert ("1000", "1050") == (
        answer["plan"]["net_basis_before"],
        answer["plan"]["net_basis_after"],
    )
    assert D(1000) == funds(venue) == account.total()


def test_a_booking_that_an_order_overtakes_is_taken_back_and_can_be_given_again(
    account: Account, venue: SimVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = venue.transfer

    def overtaken(ref: str, amounts: Any) -> bool:
        moved = real(ref, amounts)
        account.bench.place("a")  # in flight from here on
        return moved

    monkeypatch.setattr(venue, "transfer", overtaken)
    answer = asked(account, **DEPOSIT)
    assert not answer["ok"]
    assert "order a on XRP/USD is SUBMITTED" in answer["error"]
    assert D(1000) == funds(venue) == account.total()
    monkeypatch.setattr(venue, "transfer", real)
    account.bench.accept("a")
    assert asked(account, **DEPOSIT)["ok"]
    assert D(1050) == funds(venue) == account.total()
