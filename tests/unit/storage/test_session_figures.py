"""A session's figures are the ledger's sums at two moments: together they are the account's."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from fsm import events as ev
from fsm.figures import SessionFigures, return_note, return_pct
from fsm.money import ZERO, shown, shown_pct
from fsm.order import OrderTrigger
from fsm.pnl import Holding, unrealized
from fsm.vocabulary import FillStatus, OrderRole, PnlSource, Side
from storage.ledger import Ledger
from storage.session_sums import session_figures
from storage.verify import verify
from storage.writer import JournalWriter
from tests.unit.storage.lives import lives
from tests.unit.storage.stories import PERP, D, Story, long_story, write

SUMS = [
    "realized_pnl",
    "fees",
    "funding",
    "converted",
    "net_pnl",
    "slippage_quote",
    "slippage_unknown_fills",
    "realized_exchange",
    "realized_estimate",
    "realized_inferred",
]


def folded(events: list[ev.Event]) -> tuple[Ledger, list[SessionFigures]]:
    """The ledger, and what each session would tell at its end."""
    ledger, told = Ledger(), list[SessionFigures]()
    for seq, event in enumerate(events, 1):
        if isinstance(event, ev.SessionStarted) and seq > 1:
            told.append(session_figures(ledger))
        ledger.apply(event, seq)
    return ledger, [*told, session_figures(ledger)]


def round_trip(**opening: str) -> Story:
    """100 bought at 0.20 where 0.19 was intended, 40 of it sold at 0.25."""
    story = Story.begun(**(opening or {"USDT": "1000"}))
    story.working("E", Side.BUY, "100", price="0.19", instrument=PERP)
    story.fill("E", "100", "0.20", fee="0.10")
    story.working("X", Side.SELL, "100", price="0.24", position_id="p/E", role=OrderRole.EXIT,
                  instrument=PERP)  # fmt: skip
    story.fill("X", "40", "0.25", fee="0.05")
    return story


def test_a_session_tells_gross_net_fees_funding_slippage_and_return() -> None:
    story = round_trip()
    story.tell(ev.FundingBooked(instrument=PERP.name, asset="USDT", amount=D("-0.3"),
                                funding_id="f"))  # fmt: skip
    figures = folded(story.events)[1][0]
    assert ("s1", D("2.00"), D("0.15"), D("-0.3")) == (
        figures.session_id, figures.realized_pnl, figures.fees, figures.funding,
    )  # fmt: skip
    assert D("1.55") == figures.net_pnl
    assert D("1.00") - D("0.40") == figures.slippage_quote
    assert D("0.155") == figures.return_pct
    assert "" == figures.return_note


@settings(max_examples=60, deadline=None)
@given(story=lives(), cuts=st.sets(st.integers(1, 60), max_size=4))
def test_wherever_sessions_begin_they_add_up_to_the_account(story: Story, cuts: set[int]) -> None:
    turns = list(story.turns)
    for number, cut in enumerate(sorted(cuts, reverse=True)):
        again = Story()
        again.session(f"s{9 - number}")
        turns[min(cut, len(turns)) : min(cut, len(turns))] = again.turns
    ledger, told = folded([event for turn in turns for event in turn])
    view = ledger.view()
    whole = {
        "realized_pnl": view.realized_pnl,
        "fees": view.fees_paid,
        "funding": view.funding,
        "converted": view.converted,
        "net_pnl": view.net_pnl,
        "slippage_quote": view.slippage_quote,
        "slippage_unknown_fills": Decimal(view.slippage_unknown_fills),
        "realized_exchange": view.realized_by["exchange"],
        "realized_estimate": view.realized_by["kernel_estimate"],
        "realized_inferred": view.realized_by["inferred"],
    }
    for name in SUMS:
        parts = sum((Decimal(getattr(figures, name)) for figures in told), ZERO)
        assert abs(whole[name] - parts) < D("1E-20"), name
    for figures in told:
        parts = figures.realized_exchange + figures.realized_estimate + figures.realized_inferred
        assert abs(figures.realized_pnl - parts) < D("1E-20")


def test_a_late_fact_counts_in_the_session_in_which_it_was_booked() -> None:
    story = round_trip()
    story.session("s2")
    story.fill("X", "60", "0.22", fee="0.07")  # the order is of session s1
    first, second = folded(story.events)[1]
    assert (D("2.00"), D("0.15")) == (first.realized_pnl, first.fees)
    assert (D("1.20"), D("0.07"), D("1.20")) == (
        second.realized_pnl, second.fees, second.slippage_quote,
    )  # fmt: skip


def test_what_is_provisional_is_told_of_each_figure_until_it_is_final() -> None:
    story = Story.begun(USDT="1000")
    story.working("E", Side.BUY, "100", price="0.19", instrument=PERP)
    story.fill("E", "100", "0.20")
    story.working("X", Side.SELL, "100", price="0.24", position_id="p/E", role=OrderRole.EXIT,
                  instrument=PERP)  # fmt: skip
    kept = story.fill("X", "40", "0.25", fee="0.05", status=FillStatus.PROVISIONAL)
    gone = story.fill("X", "60", "0.22", fee="0.07", status=FillStatus.PROVISIONAL)
    (told,) = folded(story.events)[1]
    assert (D("3.20"), D("0.12"), D("0.80")) == (
        told.realized_provisional, told.fees_provisional, told.slippage_provisional,
    )  # fmt: skip
    story.session("s2")
    ledger, (_, second) = folded(story.events)
    assert (ZERO, ZERO) == (second.realized_provisional, second.fees_provisional)
    assert D("3.20") == ledger.view().realized_provisional  # of the account it still is
    story.tell(ev.OrderFillSettled(client_order_id="X", position_id="p/E", trade_id=kept,
                                   realized_pnl=None, fee=None))  # fmt: skip
    assert D("1.20") == folded(story.events)[0].view().realized_provisional
    story.void("X", gone)
    ledger, (_, second) = folded(story.events)
    view = ledger.view()
    assert (ZERO, ZERO, ZERO) == (
        view.realized_provisional, view.fees_provisional, view.slippage_provisional,
    )  # fmt: skip
    # The void gives back what the fill had cost, in the session in which it is told.
    assert (D("-0.07"), D("-1.20"), D("0.6")) == (
        second.fees, second.slippage_quote, view.slippage_quote,
    )  # fmt: skip


def test_what_the_venue_agrees_with_later_becomes_certain_in_that_session() -> None:
    story = round_trip()
    story.session("s2")
    story.tell(
        ev.PnlCompared(position_id="p/E", client_order_id="X", trade_id="T2", estimate=D("2.00"),
                       exchange=D("2.00"), agrees=True, pnl_source=PnlSource.EXCHANGE)
    )  # fmt: skip
    ledger, (first, second) = folded(story.events)
    assert (D("2.00"), ZERO) == (first.realized_estimate, first.realized_exchange)
    assert (ZERO, D("-2.00"), D("2.00")) == (
        second.realized_pnl, second.realized_estimate, second.realized_exchange,
    )  # fmt: skip
    assert D("2.00") == ledger.view().realized_by["exchange"]


def test_fills_without_a_slippage_are_counted_and_a_void_takes_the_count_back() -> None:
    story = Story.begun(RLUSD="100")
    story.working("A", Side.BUY, "10", price=None)
    trade = story.fill("A", "4", "1.30", status=FillStatus.PROVISIONAL)
    assert 1 == folded(story.events)[1][0].slippage_unknown_fills
    story.void("A", trade)
    assert 0 == folded(story.events)[1][0].slippage_unknown_fills


def test_a_session_is_measured_by_what_it_began_with() -> None:
    story = round_trip()
    story.tell(ev.CapitalRecorded(kind="deposit", asset="USDT", amount=D(500)))
    story.session("s2")
    first, second = folded(story.events)[1]
    assert (D(1000), D(1500)) == (first.basis, first.net_basis)  # the opening was there before it
    assert (D(1500), D(1500)) == (second.basis, second.net_basis)


@pytest.mark.parametrize(
    ("opening", "note"),
    [
        ({}, "the basis is 0: no capital was put in before"),
        ({"USDT": "1000", "XRP": "5"}, "opening balance of XRP has no price"),
    ],
)
def test_no_return_is_told_rather_than_a_misleading_one(opening: dict[str, str], note: str) -> None:
    story = Story()
    story.session("s1")
    for asset, amount in opening.items():
        story.tell(ev.CapitalRecorded(kind="opening", asset=asset, amount=D(amount)))
    ledger, (figures,) = folded(story.events)
    assert (None, None) == (figures.return_pct, ledger.view().return_pct)
    assert figures.return_note.startswith(note)
    assert figures.return_note == ledger.view().return_note


def test_an_initial_basis_gives_the_session_its_return() -> None:
    story = Story.begun(RLUSD="100", XRP="50")
    story.tell(ev.CapitalRecorded(kind="init_basis", asset="RLUSD", amount=ZERO, value=D(100),
                                  basis_delta=D(100), prices={"XRP": D(2)}))  # fmt: skip
    (figures,) = folded(story.events)[1]
    assert (D(200), ZERO) == (figures.basis, figures.return_pct)


def test_the_formulas_of_return() -> None:
    assert D(5) == return_pct(D(10), D(200), ())
    assert D(-5) == return_pct(D(-10), D(200), ())
    assert None is return_pct(D(10), D(0), ())
    assert None is return_pct(D(10), D(-1), ())
    assert "" == return_note(D(1), ())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("189.9503495862353320463320463", "189.95034959"),
        ("0.000000015", "0.00000002"),
        ("0.000000025", "0.00000002"),
        ("-0.000000001", "0"),
        ("100", "100"),
        ("1E+3", "1000"),
        ("12345678901234567890123.5", "12345678901234567890123.5"),
    ],
)
def test_people_are_shown_eight_decimals_rounded_half_even(value: str, text: str) -> None:
    assert text == shown(D(value))


def test_percentages_have_their_sign() -> None:
    assert ["+0.1235 %", "-0.0071 %", "0 %"] == [
        shown_pct(D(text)) for text in ("0.12345001", "-0.0071326", "0.00001")
    ]


@settings(max_examples=60, deadline=None)
@given(story=lives(), bid=st.decimals("0.1", "9", places=4), spread=st.decimals("0", "1", places=4))
def test_open_profit_by_instrument_is_the_sum_of_the_positions(
    story: Story, bid: Decimal, spread: Decimal
) -> None:
    ledger = folded(story.events)[0]
    for name, held in ledger.exposures.open().items():
        each = [
            unrealized(Holding(one.qty, one.cost / one.qty), bid if one.qty > 0 else bid + spread)
            for one in ledger.exposures.of.values()
            if one.instrument == name
        ]
        assert abs(sum(each, ZERO) - held.unrealized(bid, bid + spread)) < D("1E-18")
        assert ZERO == held.unrealized(None, None)


def killed_story(tmp_path: Path, **lies: Decimal) -> Path:
    """A session that was killed, and whose figures the next one tells."""
    story = round_trip()
    before = evolve(folded(story.events)[1][0], **lies)
    story.session("s2")
    (started,) = story.turns[-1]
    assert isinstance(started, ev.SessionStarted)
    story.turns[-1] = [evolve(started, previous=before)]
    story.moved("X", OrderTrigger.CANCEL_REQUESTED)
    path = tmp_path / "a.db"
    writer = JournalWriter(path)
    write(writer, story.turns)
    writer.project_all()
    writer.close()
    return path


def test_a_killed_session_has_its_figures_from_the_next_one(tmp_path: Path) -> None:
    path = killed_story(tmp_path)
    conn = sqlite3.connect(path)
    rows = conn.execute(
        "SELECT session_id, realized_pnl, fees, net_pnl, return_pct FROM sessions"
    ).fetchall()
    conn.close()
    assert [("s1", "2", "0.15", "1.85", "0.185"), ("s2", None, None, None, None)] == rows
    assert () == verify(path).problems
    assert 1 == verify(path).checks["session_figures"]


def test_figures_that_are_not_the_fold_s_are_reported(tmp_path: Path) -> None:
    problems = verify(killed_story(tmp_path, fees=D(7))).problems
    assert any("session s1 tells fees 7, the fold says 0.15" in line for line in problems)


def test_the_long_story_ends_with_its_sessions_figures() -> None:
    ledger, (figures,) = folded(long_story().events)
    assert ledger.view().session == figures
    assert figures.net_pnl == ledger.net_pnl
