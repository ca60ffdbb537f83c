"""Whose fact it is: both ids mean one order, or it changes nothing and waits to be placed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from attrs import evolve

from actors import messages as msg
from actors.registry import Books
from actors.runtime.actor import Refused
from actors.runtime.ids import IdSource
from actors.snapshot import captured, restored
from actors.world import World
from fsm import events as ev
from fsm import facts
from fsm.vocabulary import ExitReason, Side
from tests.unit.engine.handmade import PAIR, Bench, fill

D = Decimal


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    for name in ("a", "b"):
        bench.place(name)
        bench.accept(name)
    return bench


def rows(bench: Bench) -> list[tuple[object, ...]]:
    bench.engine.writer.project_all()
    sql = "SELECT seq, fact, resolved_as, who FROM unresolved_facts ORDER BY seq"
    return bench.engine.reader.conn.execute(sql).fetchall()


def attribute(bench: Bench, seq: int, order: str | None, who: str = "ana") -> dict[str, object]:
    bench.do(msg.AttributeFact(seq=seq, client_order_id=order, who=who, why="trade page"))
    return bench.answers[-1]


def nobodys_fill(bench: Bench, **fields: object) -> int:
    """A fill that names an order nobody knows; the seq that it was recorded under."""
    given = {"venue_order_id": "V-x", "instrument": PAIR, "side": Side.BUY} | fields
    bench.say(facts.OrderFill(**{"trade_id": "t9", "qty": D(4), "price": D(1)} | given))
    return int(str(rows(bench)[-1][0]))


def test_a_fact_that_names_two_orders_changes_neither(bench: Bench) -> None:
    bench.say(fill("t1", "4", "a", venue_order_id="V-b"))
    bench.say(fill("t1", "4", "a", venue_order_id="V-b"))

    assert D(0) == bench.order("a").filled_qty == bench.order("b").filled_qty
    (anomaly,) = bench.events(ev.AnomalyRecorded)
    assert "ids_disagree" == anomaly.kind
    (kept,) = bench.events(ev.FactUnresolved)
    assert "it names a by our id, b by the venue's" == kept.reason
    bench.proven()


def test_also_when_the_order_that_the_venue_means_has_left_memory(bench: Bench) -> None:
    bench.fill("t1", "10", "b")
    bench.quote("1", "1.1")
    bench.do(msg.RequestExit("b", ExitReason.OPERATOR))
    bench.restart()
    assert "b" not in bench.engine.world.orders
    bench.say(facts.OrderCanceled(client_order_id="a", venue_order_id="V-b"))

    assert bench.order("a").is_live
    assert "ids_disagree" == bench.events(ev.AnomalyRecorded)[-1].kind


def test_the_venues_id_alone_and_an_id_that_is_not_ours_are_the_venues_order(bench: Bench) -> None:
    bench.say(evolve(fill("t1", "4", venue_order_id="V-b"), client_order_id=None))
    bench.say(fill("t2", "2", "prefixed-by-the-venue", venue_order_id="V-b"))
    assert (D(0), D(6)) == (bench.order("a").filled_qty, bench.order("b").filled_qty)
    assert [] == bench.events(ev.FactUnresolved)


def test_a_new_venue_id_for_an_order_that_has_one_is_still_that_order(bench: Bench) -> None:
    bench.say(fill("t1", "4", "a", venue_order_id="V-a-amended"))
    assert D(4) == bench.order("a").filled_qty


def test_what_is_kept_can_be_read_back(bench: Bench) -> None:
    seq = nobodys_fill(bench, fee=D("0.1"), fee_asset="USD")
    (kept,) = bench.events(ev.FactUnresolved)
    again = msgspec.json.decode(kept.payload, type=facts.OrderFill)
    assert (D(4), D("0.1"), "V-x", Side.BUY) == (again.qty, again.fee, again.venue_order_id, "buy")
    assert [(seq, "OrderFill", None, None)] == rows(bench)


def test_a_fact_that_finds_its_order_by_a_retry_is_marked(bench: Bench) -> None:
    seq = nobodys_fill(bench, venue_order_id=None, client_order_id="late")
    bench.place("late")
    bench.accept("late")
    assert D(4) == bench.order("late").filled_qty
    assert [(seq, "OrderFill", "order/late", "")] == rows(bench)
    assert {} == bench.engine.books.unresolved
    bench.proven()


def test_one_that_is_told_again_after_a_restart_is_marked_too(bench: Bench) -> None:
    seq = nobodys_fill(bench)
    bench.restart()
    assert [seq] == [s for held in bench.engine.books.unresolved.values() for s in held]
    bench.say(facts.OrderFill(
        trade_id="t9", qty=D(4), price=D(1), client_order_id="a", venue_order_id="V-x",
        instrument=PAIR, side=Side.BUY, fetched=True,
    ))  # fmt: skip
    assert D(4) == bench.order("a").filled_qty
    assert [(seq, "OrderFill", "order/a", "")] == rows(bench)
    bench.proven()


def test_a_void_that_waits_for_its_trade_is_open_until_the_trade_comes(bench: Bench) -> None:
    void = facts.FillVoided(trade_id="t1", client_order_id="a")
    bench.say(void)
    bench.say(void)
    assert [None] == [row[2] for row in rows(bench)]
    bench.fill("t1", "4", "a")
    assert ["order/a"] == [row[2] for row in rows(bench)]
    assert D(0) == bench.order("a").filled_qty


def test_a_person_gives_a_fact_to_its_order_once(bench: Bench) -> None:
    seq = nobodys_fill(bench)
    assert attribute(bench, seq, "a")["accepted"]
    assert D(4) == bench.order("a").filled_qty == bench.position("a").qty
    assert [(seq, "OrderFill", "order/a", "ana")] == rows(bench)

    again = attribute(bench, seq, "a")
    assert not again["accepted"]
    assert f"seq {seq} is resolved already" in str(again["error"])
    bench.restart()
    assert not attribute(bench, seq, "b")["accepted"]
    assert (D(4), D(0)) == (bench.order("a").filled_qty, bench.order("b").filled_qty)
    bench.say(fill("t9", "4", "a", venue_order_id="V-x"))
    assert D(4) == bench.order("a").filled_qty
    bench.proven()


def test_one_of_two_orders_that_a_fact_named_gets_it_by_a_person(bench: Bench) -> None:
    bench.say(fill("t1", "4", "a", venue_order_id="V-b"))
    assert attribute(bench, int(str(rows(bench)[0][0])), "a")["accepted"]
    assert (D(4), D(0)) == (bench.order("a").filled_qty, bench.order("b").filled_qty)
    assert ("V-a", "V-b") == (bench.order("a").venue_order_id, bench.order("b").venue_order_id)


def test_a_dismissed_fact_stays_on_record_and_changes_nothing(bench: Bench) -> None:
    seq = nobodys_fill(bench)
    assert attribute(bench, seq, None)["accepted"]
    assert [(seq, "OrderFill", "dismissed", "ana")] == rows(bench)
    assert D(0) == bench.order("a").filled_qty
    assert {} == bench.engine.books.unresolved


@pytest.mark.parametrize(
    ("fields", "order", "words"),
    [
        ({}, "none", "no order none"),
        ({"instrument": "OTHER/USD"}, "a", "its instrument is OTHER/USD, the order's XRP/USD"),
        ({"side": Side.SELL}, "a", "its side is sell, the order's buy"),
        ({"trade_id": "t1"}, "a", "trade t1 is booked for order b"),
    ],
)
def test_a_fact_that_does_not_fit_is_refused_and_stays_open(
    bench: Bench, fields: dict[str, object], order: str, words: str
) -> None:
    bench.say(fill("t1", "3", "b", instrument=PAIR))
    seq = nobodys_fill(bench, **fields)
    answer = attribute(bench, seq, order)
    assert not answer["accepted"]
    assert words in str(answer["error"])
    assert [(seq, "OrderFill", None, None)] == rows(bench)
    assert D(0) == bench.order("a").filled_qty
    bench.proven()


def test_only_an_unresolved_fact_can_be_attributed(bench: Bench) -> None:
    for seq in (1, 0, 10_000):
        assert f"seq {seq} is no unresolved fact" in str(attribute(bench, seq, "a")["error"])


def test_a_void_is_not_given_to_an_order_without_that_trade(bench: Bench) -> None:
    bench.say(facts.FillVoided(trade_id="t7", venue_order_id="V-x"))
    answer = attribute(bench, int(str(rows(bench)[0][0])), "a")
    assert "trade t7 is not booked for it" in str(answer["error"])


def test_what_is_no_orders_can_only_be_dismissed(bench: Bench) -> None:
    bench.say(facts.FundingPaid(instrument="OTHER", amount=D(1)))
    seq = int(str(rows(bench)[0][0]))
    assert "a FundingPaid is no order's; use --dismiss" in str(attribute(bench, seq, "a")["error"])
    assert attribute(bench, seq, None)["accepted"]


def test_what_an_older_version_kept_in_words_is_refused_in_one_line(bench: Bench) -> None:
    old = ev.FactUnresolved(fact="OrderFill", payload="OrderFill(trade_id='t')", reason="x")
    bench.engine.system.facts.unresolved._event = lambda seq: old  # type: ignore[method-assign]
    with pytest.raises(Refused, match="an older version kept it in words only"):
        bench.engine.system.facts.unresolved.attributed(
            msg.AttributeFact(seq=3, client_order_id="a", who="ana", why="x")
        )


def test_open_facts_are_the_same_from_a_snapshot_of_the_fold(bench: Bench) -> None:
    nobodys_fill(bench)
    books = Books(World(rules=bench.rules, ids=IdSource("")), None)
    restored(captured(bench.engine.books), books, 1)
    assert bench.engine.books.unresolved == books.unresolved != {}
