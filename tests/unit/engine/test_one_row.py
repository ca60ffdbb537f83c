"""What a person reads is one and the same (P02), one row an event (P03), never silently gone (P07),
and told in one time format (P08)."""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors import messages as msg
from actors.summary import summarise
from fsm import events as ev
from fsm import facts
from fsm.instrument import Instrument
from fsm.vocabulary import ExitReason, FillStatus, InstrumentKind, Side
from storage import projection_rows
from storage.projections import rebuild
from storage.schema import PROJECTIONS
from tests.unit.engine.handmade import PAIR, Bench, fill

D = Decimal
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
PERP = Instrument(
    name=PAIR, base="XRP", quote="USD", kind=InstrumentKind.PERPETUAL, max_leverage=D(10)
)
#: Which events make a row of their own; every other one changes rows that are there.
MAKERS = {
    "sessions": ("SessionStarted",),
    "orders": ("OrderIntended",),
    "fills": ("OrderFilled",),
    "positions": ("PositionOpened",),
    "account_snapshots": ("AccountSnapshotTaken",),
    "instrument_settlements": ("InstrumentSettled",),
    "reconciler_anomalies": ("AnomalyRecorded",),
    "unresolved_facts": ("FactUnresolved",),
    "truth_snapshots": ("BooksCompared",),
    "decisions": ("SignalRaised",),
    "feed_gaps": ("FeedGapRecorded",),
}


def the_day(exit_id: str = "") -> list[Any]:
    """All that a venue says of one position, from the acknowledgement to the payout."""
    given: dict[str, Any] = {"price": D(2), "fee_asset": "USD"}
    return [
        facts.OrderAccepted(client_order_id="a", venue_order_id="V-a"),
        fill("t1", "4", fee=D("0.4"), **given),
        fill("t2", "6", fee=D("-0.1"), status=FillStatus.PROVISIONAL, **given),
        facts.FillSettled(trade_id="t2", client_order_id="a"),
        facts.FundingPaid(instrument=PAIR, amount=D("-1"), funding_id="f1"),
        fill("t9", "1", "nobody"),
        facts.PositionClosed(
            position_id="a", reason="adl", qty=D(3), price=D("2.5"), trade_id="L1", fee=D("0.2")
        ),
        fill("x1", "2", exit_id, price=D("2.2"), fee=D("0.05"), fee_asset="USD"),
        facts.InstrumentResolved(instrument=PAIR, payout=D("1.5")),
        facts.OrderExpired(client_order_id=exit_id, reason="resolved"),
    ]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path, instrument=PERP, opening={"USD": D(1000)})
    bench.place(limit_price=D(2))
    return bench


def live_through(bench: Bench, *, times: int = 1) -> str:
    """The day, every fact told so often; the exit's id."""
    day = the_day()
    for fact in day[:7]:
        bench.say(*[fact] * times)
    bench.quote("2.2", "2.3")
    bench.do(msg.RequestExit("a", ExitReason.OPERATOR))
    exit_id = bench.exits()[-1].client_order_id
    for fact in the_day(exit_id)[7:]:
        bench.say(*[fact] * times)
    return exit_id


def counts(bench: Bench) -> dict[str, int]:
    bench.engine.writer.project_all()
    conn = bench.engine.reader.conn
    return {
        table: conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in PROJECTIONS
    }


def column(bench: Bench, sql: str) -> list[Any]:
    bench.engine.writer.project_all()
    return [row[0] for row in bench.engine.reader.conn.execute(sql)]


def total(bench: Bench, sql: str) -> Decimal:
    return sum((D(value) for value in column(bench, sql) if value is not None), D(0))


# ------------------------------------------------------------------------------------------- P02


@pytest.mark.parametrize("rebuilt", [False, True])
def test_account_positions_fills_snapshots_and_summary_say_the_same(
    bench: Bench, rebuilt: bool
) -> None:
    live_through(bench)
    bench.do(msg.SnapshotAccount("a test looks"))
    if rebuilt:
        bench.engine.writer.project_all()
        rebuild(bench.engine.writer.conn)
    ledger = bench.engine.world.ledger
    realized, fees = D("1.5") + D("0.4") - D("2.5"), D("0.55")

    assert (realized, fees) == (ledger.realized_pnl, ledger.fees_paid)
    assert realized == total(bench, "SELECT realized_pnl FROM positions")
    assert fees == total(bench, "SELECT fees FROM positions")
    at_venue = D("0.2")  # a closing is no fill of an order
    assert fees == total(bench, "SELECT fee FROM fills WHERE position_id = 'a'") + at_venue
    assert fees == total(bench, "SELECT fees FROM orders") + at_venue
    summary = summarise(bench.engine, "test")
    assert (realized, fees) == (summary.figures.realized_pnl, summary.figures.fees)
    taken = "SELECT {} FROM account_snapshots ORDER BY seq DESC LIMIT 1"
    assert realized == total(bench, taken.format("realized_pnl"))
    assert fees == total(bench, taken.format("fees_paid"))
    wallet = D(1000) + realized - fees - 1
    assert wallet == ledger.balance("USD").total == ledger.capital
    assert wallet == total(bench, taken.format("capital"))
    balances = json.loads(column(bench, taken.format("balances"))[0])
    account = bench.engine.document(everything=True)["account"]
    assert wallet == D(balances["USD"]) == D(account["balances"]["USD"]["total"])
    assert (realized, fees) == (D(account["realized_pnl"]), D(account["fees_paid"]))
    bench.proven()


# ------------------------------------------------------------------------------------------- P03


def test_what_is_told_twice_across_a_kill_is_one_row_in_every_table(bench: Bench) -> None:
    exit_id = live_through(bench, times=2)
    once = counts(bench)
    figures = bench.engine.world.ledger.view()
    bench.engine.reader.close()
    bench.engine.writer.conn.close()  # killed: nothing is projected at the end
    bench.start()
    told_again = the_day(exit_id)[1:]  # an acknowledgement of what is over would be news
    bench.say(*told_again, *told_again)

    told = counts(bench)
    restarted = {"sessions", "truth_snapshots", "circuit_breaker_events"}
    changed = {table for table in PROJECTIONS if told[table] != once[table]}
    assert changed <= restarted
    kinds_told = bench.engine.reader.conn.execute("SELECT type FROM journal").fetchall()
    happened = Counter(kind for (kind,) in kinds_told)
    for table, kinds in MAKERS.items():
        assert (table, sum(happened[kind] for kind in kinds)) == (table, told[table])
    assert happened["CapitalRecorded"] + happened["FundingBooked"] == told["capital_events"]
    view = bench.engine.world.ledger.view()
    assert (figures.capital, figures.balances) == (view.capital, view.balances)
    bench.proven()


def test_every_table_has_a_key_that_a_second_row_for_one_event_would_break() -> None:
    unique = {"session_id", "client_order_id", "fill_id", "position_id", "signal_id", "seq"}
    assert {str(key) for _, key, _ in PROJECTIONS.values()} <= unique


# ------------------------------------------------------------------------------------------- P07


def test_a_row_that_is_refused_stops_the_tables_with_an_alert_and_never_the_journal(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.accept()
    assert 0 == counts(bench)["fills"]
    real = projection_rows.HANDLERS["OrderFilled"]

    def of_another_type(batch: Any, at: Any, event: ev.OrderFilled) -> None:
        real(batch, at, event)
        batch.update("fills", f"{event.client_order_id}/{event.trade_id}", {"late": "no"})

    with monkeypatch.context() as patch:
        patch.setitem(projection_rows.HANDLERS, "OrderFilled", of_another_type)
        bench.fill("t1", "4")
        assert 0 == counts(bench)["fills"]
    bench.fill("t2", "6")

    assert D(10) == bench.order().filled_qty  # the journal and the books go on
    assert "TEXT value in INTEGER column" in str(bench.engine.writer.projector.failed)
    assert 1 == bench.engine.release.alert_counts["TABLES_STOPPED"]
    assert "TEXT value" in summarise(bench.engine, "test").tables_stopped
    assert 0 == counts(bench)["fills"]  # nothing is told by half
    assert 2 == len(bench.events(ev.OrderFilled))

    rebuild(bench.engine.writer.conn)
    assert 2 == bench.engine.reader.conn.execute("SELECT count(*) FROM fills").fetchone()[0]


def test_no_duration_that_is_shown_is_negative(bench: Bench) -> None:
    bench.quote("1", "1.1")
    world = bench.engine.world
    world.session.started_at_us = world.markets[PAIR].seen_at_us = bench.clock.now_us() + 5_000_000
    document = bench.engine.document(everything=True)
    assert 0 == document["session"]["uptime_s"]
    assert 0 == document["feeds"][PAIR]["age_ms"]


# ------------------------------------------------------------------------------------------- P08


def test_a_gap_that_ends_before_it_begins_by_its_sources_times_has_no_length(bench: Bench) -> None:
    bench.tell(msg.FeedGapSeen(PAIR, 5_000_000, 2_000_000, "the source's clock was set back"))
    (gap,) = bench.events(ev.FeedGapRecorded)
    assert (5_000_000, 5_000_000) == (gap.from_us, gap.to_us)
    assert 1 == counts(bench)["feed_gaps"]


def is_time(name: str) -> bool:
    return name.endswith(("_at", "_time", "since")) or name in ("at", "as_of")


def times(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """Everything in a document whose name says that it is a time."""
    if isinstance(value, dict):
        return [
            found
            for key, held in value.items()
            for found in (
                [(f"{path}.{key}", held)]
                if is_time(key) and not isinstance(held, (dict, list))
                else times(held, f"{path}.{key}")
            )
        ]
    if isinstance(value, list):
        return [found for item in value for found in times(item, path)]
    return []


def test_every_time_of_every_table_and_document_has_one_format(bench: Bench) -> None:
    live_through(bench)
    bench.tell(msg.FeedGapSeen(PAIR, 1_000_000, 2_500_000, "silence"))
    bench.do(msg.AttributeFact(
        seq=column(bench, "SELECT seq FROM unresolved_facts")[0],
        client_order_id=None, who="ana", why="not ours",
    ))  # fmt: skip
    bench.place("b", side=Side.SELL)
    bench.do(msg.CancelOrder("b", "test"))
    bench.restart()
    counts(bench)
    seen: Counter[str] = Counter()
    for table, (columns, *_) in PROJECTIONS.items():
        for name in (name for name, kind in columns.items() if is_time(name) and kind is str):
            for value in column(bench, f"SELECT {name} FROM {table} WHERE {name} IS NOT NULL"):
                assert ISO.fullmatch(value), f"{table}.{name}: {value}"
                seen[f"{table}.{name}"] += 1
    wanted = (
        "sessions.started_at",
        "orders.cancelled_at",
        "fills.venue_time",
        "feed_gaps.to_time",
        "positions.closed_at",
        "unresolved_facts.resolved_at",
        "instrument_settlements.at",
    )
    assert [] == [name for name in wanted if not seen[name]]

    found = times(bench.engine.document(everything=True))
    assert len(found) > 10
    assert [] == [(p, v) for p, v in found if v is not None and not ISO.fullmatch(str(v))]
