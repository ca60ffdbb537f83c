"""The published account: one frozen view of durable state, swapped by one reference."""

from __future__ import annotations

import copy
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import define, exceptions, field

from actors import messages as msg
from actors.fold import folded
from actors.registry import Books
from actors.runtime.ids import IdSource
from actors.world import Rules, World
from fsm.vocabulary import Side
from storage.account_view import AccountView
from storage.journal import JournalReader
from storage.writer import JournalFailed, TurnBatch
from tests.engines import run_synthetic, simulated_engine
from tests.unit.engine.handmade import PAIR, Bench, fill

D = Decimal


@define
class HeldBack:
    """A journal that commits when a test says so."""

    commit: Callable[[TurnBatch], None]
    waiting: list[TurnBatch] = field(factory=list)

    def append(self, batch: TurnBatch) -> None:
        self.waiting.append(batch)

    def one(self) -> None:
        self.commit(self.waiting.pop(0))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An order is working; nothing of it is filled."""
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    return bench


def held_back(bench: Bench) -> HeldBack:
    """From here on commits wait for the test."""
    dispatcher, real = bench.engine.dispatcher, bench.engine.dispatcher.journal
    assert real is not None
    dispatcher.journal = HeldBack(real.append)
    return dispatcher.journal


def turn(bench: Bench, *trades: str) -> None:
    """One turn that books these fills, not waited for."""
    for trade in trades:
        bench.engine.inbox.facts.offer(fill(trade, "1"))
    assert bench.engine.dispatcher.run_turn()


def held(view: AccountView) -> Decimal:
    return view.balances["XRP"].total


def test_who_holds_a_view_never_sees_it_change(bench: Bench) -> None:
    view = bench.engine.world.account
    before = copy.deepcopy(view)
    bench.fill("t", "4")
    assert before == view
    assert bench.engine.world.account is not view
    assert held(view) + 4 == held(bench.engine.world.account)
    with pytest.raises(exceptions.FrozenInstanceError):
        view.capital = D(0)  # type: ignore[misc]


def test_nothing_is_published_for_a_turn_that_moved_nothing(bench: Bench) -> None:
    view = bench.engine.world.account
    seq = bench.engine.world.seq
    bench.tell(msg.FeedGapSeen(PAIR, 1, 2, "a test", 0))
    assert bench.engine.world.seq > seq
    assert bench.engine.world.account is view


def test_a_turn_is_published_when_it_is_durable_and_not_before(bench: Bench) -> None:
    journal, world = held_back(bench), bench.engine.world
    view = world.account
    turn(bench, "t")
    assert D(1001) == world.ledger.totals["XRP"]  # the next decision sees it, nobody else does
    assert world.account is view
    document = bench.engine.document()["account"]
    assert "1000" == document["balances"]["XRP"]["total"]
    journal.one()
    assert D(1001) == held(world.account)
    assert "1001" == bench.engine.document()["account"]["balances"]["XRP"]["total"]


def test_what_is_published_is_what_was_durable_while_later_turns_are_under_way(
    bench: Bench,
) -> None:
    journal, world = held_back(bench), bench.engine.world
    for trade in ("t1", "t2", "t3"):
        turn(bench, trade)
    shown = []
    while journal.waiting:
        journal.one()
        shown.append(held(world.account))
    assert D(1001) == shown[0]
    assert sorted(shown) == shown
    assert D(1003) == shown[-1]  # when nothing is under way any more, everything is published


def test_under_steady_load_the_view_goes_on(bench: Bench) -> None:
    journal, world = held_back(bench), bench.engine.world
    seen = set()
    turn(bench, "t0")
    for number in range(1, 9):  # there is always a turn under way
        turn(bench, f"t{number}")
        journal.one()
        seen.add(held(world.account))
        assert held(world.account) <= D(1000 + number)
    assert len(seen) >= 4


def test_a_turn_whose_commit_failed_was_never_published(bench: Bench) -> None:
    held_back(bench)
    world = bench.engine.world
    view = world.account
    turn(bench, "t1")
    turn(bench, "t2")
    bench.engine.dispatcher.on_journal_failed(JournalFailed("the disk is full"))
    bench.engine.inbox.facts.offer(fill("t3", "1"))
    bench.engine.dispatcher.run_turn()
    assert world.account is view
    assert "1000" == bench.engine.document()["account"]["balances"]["XRP"]["total"]


def refolded(database: Path, *, by_snapshot: bool) -> AccountView:
    books = Books(World(rules=Rules(), ids=IdSource("")), None)
    reader = JournalReader.open(database)
    folded(reader, books, database if by_snapshot else None)
    reader.close()
    return books.world.account


def test_after_a_kill_the_rebuilt_account_is_the_last_published_one(tmp_path: Path) -> None:
    running = simulated_engine(tmp_path, strategies=("always-trade-canary", "momentum"))
    for _ in range(3):
        run_synthetic(running, 7)
        published = running.engine.world.account
        assert published == refolded(running.database, by_snapshot=False)
        assert published == refolded(running.database, by_snapshot=True)
    assert published.session.realized_pnl
    assert published.slippage_quote
    running.close()


def test_equity_counts_open_positions_at_the_marks(bench: Bench) -> None:
    bench.fill("t", "4", price=D("1.10"))
    account = bench.engine.document()["account"]
    assert ([bench.engine.settings.instruments[0].name], "0") == (
        account["unmarked"], account["unrealized_pnl"],
    )  # fmt: skip
    bench.quote("1.30", "1.40")
    account = bench.engine.document()["account"]
    assert ([], "0.8") == (account["unmarked"], account["unrealized_pnl"])
    assert D(account["capital"]) + D("0.8") == D(account["equity"])
    bench.place("s", side=Side.SELL, limit_price=D("1.35"))
    bench.accept("s")
    bench.fill("u", "10", "s", price=D("1.35"))
    account = bench.engine.document()["account"]  # a short is marked at the ask
    assert "0.3" == account["unrealized_pnl"]
