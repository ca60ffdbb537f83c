"""External orders, wallet truth, bounds."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path

from attrs import evolve

from actors import messages as msg
from actors.reconciling.externals import external_name
from fsm import events as ev
from fsm import facts
from fsm.facts import Found
from fsm.order import OrderState
from fsm.position import PositionState
from fsm.requests import QueryBalances, QueryFills
from fsm.timestamps import SECOND_US
from fsm.vocabulary import ExitReason, OrderRole
from tests.engines import BITCOIN
from tests.unit.engine.handmade import PAIR, RULES, START_US, Bench, HandVenue, fill, reported

D, S = Decimal, OrderState
NAME = external_name("hand", "V-x")


def look(bench: Bench, scope: str = "orders") -> None:
    bench.tell(msg.PassDue(scope))


def externals(bench: Bench) -> list[str]:
    return [
        e.client_order_id for e in bench.events(ev.OrderIntended) if e.role is OrderRole.EXTERNAL
    ]


# ---------------------------------------------------------------------------- external orders


def test_our_own_order_whose_answer_was_lost_is_not_adopted_as_somebody_else_s(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    bench.place()
    bench.venue.open = {"a": evolve(reported(), client_order_id=None)}
    bench.venue.orders["a"] = reported()
    bench.wait(6)
    look(bench)
    bench.wait(20)

    assert [] == externals(bench)
    bench.proven()


def test_our_own_order_whose_answer_was_lost_is_not_cancelled_as_somebody_else_s(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, rules=evolve(RULES, cancel_external=True))
    bench.place()
    bench.venue.open = {"a": evolve(reported(), client_order_id=None)}
    look(bench)
    bench.accept()

    assert [] == [r for r in bench.venue.sent if type(r).__name__ == "Cancel"]


def test_books_after_an_adopted_order_turns_out_to_be_ours(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.place()
    bench.venue.open = {"a": evolve(reported(), client_order_id=None)}
    look(bench)
    bench.accept()
    look(bench)
    held = bench.engine.world.ledger.balance("USD").reserved
    bench.proven()
    assert D(10) == held


def test_an_external_order_of_an_instrument_that_we_do_not_trade_ends(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.venue.open = {"x": evolve(reported("x"), instrument="ETH/USD", price=D("0.5"))}
    look(bench)
    assert S.WORKING is bench.order(NAME).state
    bench.venue.open = {}
    bench.venue.orders[NAME] = None
    for _ in range(20):
        look(bench)
        bench.wait(30)

    assert S.CANCELED is bench.order(NAME).state


def test_ended_external_orders_of_other_instruments_do_not_bar_the_gate(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rules=evolve(RULES, queries_per_pass_max=2))
    bench.venue.open = {
        f"x{n}": evolve(reported(f"x{n}"), instrument="ETH/USD", price=D("0.5")) for n in range(3)
    }
    look(bench)
    bench.venue.open = {}
    bench.venue.orders = {external_name("hand", f"V-x{n}"): None for n in range(3)}
    bench.restart()
    bench.wait(600)

    assert "ACTIVE" == bench.mode


def test_a_part_from_before_the_opening_does_not_fetch_all_history_at_every_pass(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    bench.venue.open = {"x": evolve(reported("x", filled="4"), price=D("0.5"))}
    for _ in range(40):
        look(bench)
    sent = len(bench.venue.sent)
    for _ in range(10):
        look(bench)

    asked = [r for r in bench.venue.sent[sent:] if isinstance(r, QueryFills)]
    assert [] == [q for q in asked if q.since_us == 0]


def test_an_external_fill_on_a_perpetual_is_in_the_books(tmp_path: Path) -> None:
    class Perp(HandVenue):
        held = D(0)

        def _answer(self, query):  # type: ignore[no-untyped-def]
            if type(query).__name__ == "QueryPositions":
                reports = (facts.PositionReport(instrument=BITCOIN.name, qty=self.held),)
                return facts.PositionsAnswer(
                    request_id=query.request_id, result=Found(reports if self.held else ())
                )
            return HandVenue._answer(self, query)

    assert BITCOIN.is_margined
    bench = Bench(tmp_path, instrument=BITCOIN, opening={"USD": D(100000)}, venue=Perp())
    bench.venue.open = {"x": evolve(reported("x"), instrument=BITCOIN.name, price=D(100))}
    look(bench)
    bench.venue.open = {}
    at_us = bench.clock.now_us()
    bench.say(
        evolve(
            fill("t1", "10", price=D(100), venue_us=at_us),
            client_order_id="x",
            venue_order_id="V-x",
        )
    )
    assert S.FILLED is bench.order(NAME).state
    bench.venue.held = D(10)
    look(bench, "books")
    bench.wait(400)

    assert ("ok", "ACTIVE") == (bench.engine.books.reconciler.truth.status, bench.mode)


# --------------------------------------------------------------------------------- truth


def test_a_difference_that_grows_at_every_look_is_seen(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    lost = [D(100)]

    def leaking() -> dict[str, Decimal]:
        lost[0] += D("0.01")
        return {"USD": D(1000) - lost[0], "XRP": D(1000)}

    bench.venue.balances = leaking
    look(bench, "books")
    bench.wait(900)

    assert bench.mode in ("DEGRADED", "HALTED")


def test_books_that_move_during_every_read_are_not_called_verified(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.place(qty=D(900))
    bench.accept()
    bench.venue.open = {"a": evolve(reported(), qty=D(900))}
    bench.venue.balances = lambda: {"USD": D(1), "XRP": D(1)}
    count = [0]
    send = bench.venue.send

    class Busy:
        name = "hand"

        def send(self, request):  # type: ignore[no-untyped-def]
            if isinstance(request, QueryBalances):
                count[0] += 1
                bench.venue.said.append(fill(f"t{count[0]}", "1", venue_us=bench.clock.now_us()))
            send(request)

    bench.engine.release.gateway = Busy()
    look(bench, "books")
    bench.wait(1200)

    assert count[0] > 5
    assert bench.mode in ("DEGRADED", "HALTED")


def test_a_flag_of_the_start_does_not_accept_what_is_lost_later(tmp_path: Path) -> None:
    bench = Bench(tmp_path, accept_divergence=True)
    assert "ACTIVE" == bench.mode
    bench.venue.balances = lambda: {"USD": D(100), "XRP": D(1000)}
    look(bench, "books")
    bench.wait(310)
    assert "HALTED" == bench.mode
    bench.do(msg.Resume("me", "go on"))
    bench.wait(10)

    assert not any(e.accepted for e in bench.events(ev.BooksCompared))
    assert "HALTED" == bench.mode


def test_a_withdrawal_does_not_take_a_position_s_exit_away(tmp_path: Path) -> None:
    """The venue still has far more than the position holds: nothing says that it is gone."""
    bench = Bench(tmp_path)
    bench.place()
    bench.accept()
    bench.fill("t1", "10")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    totals = dict(bench.engine.world.ledger.totals)
    bench.venue.balances = lambda: totals | {"XRP": totals["XRP"] - 10}

    class Refusing:
        name = "hand"

        def send(self, request):  # type: ignore[no-untyped-def]
            bench.venue.send(request)
            if type(request).__name__ == "Submit":
                bench.venue.said.append(
                    facts.OrderRejected(
                        client_order_id=request.client_order_id, reason="market is busy"
                    )
                )

    bench.engine.release.gateway = Refusing()
    [first] = bench.exits()
    bench.say(facts.OrderRejected(client_order_id=first.client_order_id, reason="market is busy"))
    bench.wait(60)

    assert PositionState.EXIT_PENDING is bench.position().state
    assert D(10) == bench.position().qty


def test_an_opening_under_a_venue_s_clock_that_is_ahead(tmp_path: Path) -> None:
    """A manual trade two seconds before the first start is in the opening balances."""
    bench = Bench(tmp_path, opening=None)
    bench.kill()
    bench.database.unlink()
    bench.clock.move_to(START_US + 100 * SECOND_US)
    bench.venue.open = {"x": evolve(reported("x", filled="4"), price=D(1))}
    ahead = bench.clock.now_us() + 3 * SECOND_US  # traded a second ago; its clock is 4 s ahead
    bench.venue.fills = [
        evolve(fill("t0", "4", venue_us=ahead), client_order_id="x", venue_order_id="V-x")
    ]
    bench.start()
    bench.venue.balances = lambda: {"USD": D(1000), "XRP": D(1004)}
    bench.wait(70)

    assert {"USD": D(1000), "XRP": D(1004)} == bench.engine.world.ledger.totals


# --------------------------------------------------------------------------------- bounds


def test_many_fills_of_nobody_are_recorded_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.venue.fills = [
        evolve(
            fill(f"m{n}", "0.001", venue_us=START_US + n),
            client_order_id=None,
            venue_order_id=f"M-{n}",
            instrument=PAIR,
        )
        for n in range(1_001)
    ]
    for _ in range(4):
        look(bench)
        bench.wait(1)

    counted = Counter(e.payload for e in bench.events(ev.FactUnresolved))
    assert {1} == set(counted.values())


def test_a_fill_of_our_order_that_was_taken_for_somebody_else_s_reaches_its_position(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    bench.place()
    bench.venue.open = {"a": evolve(reported(), client_order_id=None)}
    look(bench)
    bench.restart()
    bench.say(
        evolve(
            fill("t1", "10", venue_us=bench.clock.now_us()),
            client_order_id=None,
            venue_order_id="V-a",
            instrument=PAIR,
        )
    )
    bench.venue.open = {}
    bench.venue.orders["a"] = reported(state="filled", filled="10")
    for _ in range(10):
        look(bench)
        bench.wait(5)

    assert D(10) == bench.order().filled_qty, bench.order().state
    assert D(10) == bench.position().qty
