"""A statement folded: figures, gaps, what cannot be checked, and mismatches by line."""

from __future__ import annotations

from decimal import Decimal

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

import storage.statement as statement
from fsm.money import ZERO
from fsm.pnl import Holding, apply_fill
from fsm.vocabulary import Side
from storage.statement import Difference, StatementAudit, StatementRow, TooManyInstruments

D = Decimal
CENTS = D("0.02")


def row(
    line: int,
    side: Side,
    qty: str,
    price: str,
    *,
    start: str | None = None,
    realized: str | None = None,
    fee: str = "0",
    instrument: str = "BTC",
) -> StatementRow:
    return StatementRow(
        line=line,
        at_us=1_700_000_000_000_000 + line,
        instrument=instrument,
        side=side,
        qty=D(qty),
        price=D(price),
        fee=D(fee),
        start_position=None if start is None else D(start),
        realized_pnl=None if realized is None else D(realized),
    )


def audited(*rows: StatementRow, tolerance: Decimal = CENTS, net: bool = False) -> StatementAudit:
    found = StatementAudit(tolerance, net)
    for each in rows:
        found.add(each)
    return found


def test_a_fill_through_zero_closes_at_the_old_average_and_opens_at_its_own_price() -> None:
    found = audited(
        row(2, Side.BUY, "2", "100", start="0", realized="0", fee="0.1"),
        row(3, Side.BUY, "2", "110", start="2", realized="0", fee="0.1"),
        row(4, Side.SELL, "5", "120", start="4", realized="60", fee="0.1"),
        row(5, Side.BUY, "0.5", "118", start="-1", realized="1", fee="-0.05"),
    )
    btc = found.instruments["BTC"]
    assert Holding(D("-0.5"), D(120)) == btc.holding
    assert (4, D(61), D("0.25")) == (btc.fills, btc.realized_pnl, btc.fees)
    assert (0, 0, 4) == (found.mismatches.total, found.gaps.total, found.compared)


def test_a_mismatch_names_line_instrument_ours_and_theirs() -> None:
    found = audited(
        row(2, Side.BUY, "1", "100"),
        row(3, Side.SELL, "1", "110", realized="10.03"),
    )
    assert [Difference(3, "BTC", D(10), D("10.03"))] == list(found.mismatches)


@pytest.mark.parametrize(("stated", "off"), [("10.02", 0), ("9.98", 0), ("10.0201", 1)])
def test_a_difference_of_just_the_tolerance_is_none(stated: str, off: int) -> None:
    found = audited(row(2, Side.BUY, "1", "100"), row(3, Side.SELL, "1", "110", realized=stated))
    assert off == found.mismatches.total


def test_a_mismatch_does_not_move_the_fold() -> None:
    """The next row is judged by the fills, not by what the venue said about the one before."""
    found = audited(
        row(2, Side.BUY, "2", "100"),
        row(3, Side.SELL, "1", "110", realized="999"),
        row(4, Side.SELL, "1", "110", realized="10"),
    )
    assert [3] == [each.line for each in found.mismatches]
    assert D(20) == found.instruments["BTC"].realized_pnl


def test_a_gap_is_told_and_what_closes_behind_it_is_not_checked_until_flat() -> None:
    found = audited(
        row(2, Side.BUY, "1", "100", start="0", realized="0"),
        row(3, Side.SELL, "1", "110", start="4", realized="77"),  # three were bought unseen
        row(4, Side.BUY, "1", "105", start="3", realized="0"),  # opening realizes 0, known or not
        row(5, Side.SELL, "4", "120", start="4", realized="88"),  # flat: known again
        row(6, Side.BUY, "1", "100", start="0", realized="0"),
        row(7, Side.SELL, "1", "101", start="1", realized="1"),
    )
    assert [Difference(3, "BTC", D(1), D(4))] == list(found.gaps)
    assert (0, 2, 4) == (found.mismatches.total, found.unchecked, found.compared)
    assert (Holding(), D(1), 2) == (
        found.instruments["BTC"].holding,
        found.instruments["BTC"].realized_pnl,
        found.instruments["BTC"].unchecked,
    )


def test_a_flip_behind_a_gap_makes_the_average_known_again() -> None:
    found = audited(
        row(2, Side.SELL, "3", "110", start="1", realized="5"),
        row(3, Side.BUY, "2", "100", start="-2", realized="21"),
    )
    assert (1, 1) == (found.gaps.total, found.unchecked)
    assert [Difference(3, "BTC", D(20), D(21))] == list(found.mismatches)


def test_a_gap_to_flat_leaves_nothing_unknown() -> None:
    found = audited(
        row(2, Side.BUY, "1", "100", start="0"),
        row(3, Side.BUY, "1", "200", start="0"),
        row(4, Side.SELL, "1", "201", start="1", realized="1"),
    )
    assert [Difference(3, "BTC", D(1), D(0))] == list(found.gaps)
    assert (0, 0) == (found.unchecked, found.mismatches.total)


def test_one_instruments_gap_says_nothing_of_another() -> None:
    found = audited(
        row(2, Side.SELL, "1", "10", start="5", realized="1"),
        row(3, Side.BUY, "1", "10", start="0", instrument="ETH"),
        row(4, Side.SELL, "1", "12", start="1", realized="3", instrument="ETH"),
    )
    assert [("BTC", 2)] == [(each.instrument, each.line) for each in found.gaps]
    assert [("ETH", 4)] == [(each.instrument, each.line) for each in found.mismatches]


def test_a_position_that_was_summed_in_floats_is_no_gap() -> None:
    found = audited(
        row(2, Side.BUY, "0.1", "100", start="0"),
        row(3, Side.BUY, "0.2", "100", start="0.1"),
        row(4, Side.SELL, "0.3", "101", start="0.30000000000000004", realized="0.3"),
        row(5, Side.BUY, "0.1", "100", start="5.551115123125783e-17"),
        row(6, Side.BUY, "0.1", "100", start="0.100001"),
    )
    assert [6] == [each.line for each in found.gaps]


def test_figures_net_of_fees_are_recognised_and_compared_with_net() -> None:
    rows = [
        row(2, Side.BUY, "1", "100", fee="0.5", realized="0"),
        row(3, Side.SELL, "0.5", "110", fee="0.25", realized="4.75"),
        row(4, Side.SELL, "0.5", "110", fee="0.25", realized="4.75"),
    ]
    gross = audited(*rows)
    assert (2, True) == (gross.mismatches.total, gross.fees_explain_it)
    assert (0, False) == (
        audited(*rows, net=True).mismatches.total,
        audited(*rows, net=True).fees_explain_it,
    )
    # One row that fees do not explain is enough not to say so.
    worse = audited(*rows, row(5, Side.BUY, "1", "100", realized="7"))
    assert (3, False) == (worse.mismatches.total, worse.fees_explain_it)
    # And the other way round: gross figures held against net ones.
    plain_rows = [evolve(each, realized_pnl=each.realized_pnl and D(5)) for each in rows]
    assert audited(*plain_rows, net=True).fees_explain_it


def test_net_figures_may_count_the_fee_of_an_opening_fill_or_not() -> None:
    for stated in ("0", "-0.5"):
        opening = row(2, Side.BUY, "1", "100", fee="0.5", realized=stated)
        assert 0 == audited(opening, net=True).mismatches.total, stated


def test_findings_are_counted_beyond_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement, "LISTED_MAX", 2)
    found = audited(*(row(line, Side.BUY, "1", "1", realized="9") for line in range(2, 7)))
    assert (5, [2, 3]) == (found.mismatches.total, [each.line for each in found.mismatches])


def test_a_statement_of_too_many_instruments_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement, "INSTRUMENTS_MAX", 1)
    found = audited(row(2, Side.BUY, "1", "1"))
    with pytest.raises(TooManyInstruments):
        found.add(row(3, Side.BUY, "1", "1", instrument="ETH"))
    assert 1 == found.rows


# -- any statement of our own ----------------------------------------------------------------------

FILL = st.tuples(
    st.sampled_from(("BTC", "ETH/USDT", "kPEPE")),
    st.sampled_from(tuple(Side)),
    st.decimals("0.001", "5000", places=3),
    st.decimals("0.01", "100000", places=2),
    st.decimals("-1", "3", places=4),
)


def stated(fills: list[tuple[str, Side, Decimal, Decimal, Decimal]]) -> list[StatementRow]:
    """What a venue with our arithmetic would state, realized PnL to the cent as venues do."""
    held: dict[str, Holding] = {}
    rows = []
    for line, (name, side, qty, price, fee) in enumerate(fills, 2):
        before = held.get(name, Holding())
        step = apply_fill(before, side.sign * qty, price)
        held[name] = step.holding
        rows.append(
            StatementRow(
                line=line,
                at_us=line,
                instrument=name,
                side=side,
                qty=qty,
                price=price,
                fee=fee,
                start_position=before.qty,
                realized_pnl=step.realized.quantize(D("0.01")),
            )
        )
    return rows


@settings(max_examples=150, deadline=None)
@given(fills=st.lists(FILL, min_size=1, max_size=40))
def test_a_statement_of_ours_agrees_with_itself(
    fills: list[tuple[str, Side, Decimal, Decimal, Decimal]],
) -> None:
    rows = stated(fills)
    found = audited(*rows)
    assert (0, 0, 0, len(rows)) == (
        found.mismatches.total, found.gaps.total, found.unchecked, found.compared,
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    fills=st.lists(FILL, min_size=1, max_size=40),
    at=st.integers(0, 39),
    wrong_by=st.sampled_from((D("0.03"), D("-0.03"), D(-500))),
)
def test_one_wrong_figure_is_named_and_nothing_else(
    fills: list[tuple[str, Side, Decimal, Decimal, Decimal]], at: int, wrong_by: Decimal
) -> None:
    rows = stated(fills)
    at %= len(rows)
    assert rows[at].realized_pnl is not None
    rows[at] = evolve(rows[at], realized_pnl=rows[at].realized_pnl + wrong_by)
    assert [rows[at].line] == [each.line for each in audited(*rows).mismatches]


@settings(max_examples=150, deadline=None)
@given(fills=st.lists(FILL, min_size=2, max_size=40), at=st.integers(0, 38))
def test_a_lost_row_is_a_gap_and_never_a_mismatch(
    fills: list[tuple[str, Side, Decimal, Decimal, Decimal]], at: int
) -> None:
    rows = stated(fills)
    lost = rows.pop(at % (len(rows) - 1))
    found = audited(*rows)
    behind = [each for each in rows if each.line > lost.line]
    of_it = [each.line for each in behind if each.instrument == lost.instrument]
    assert 0 == found.mismatches.total
    assert of_it[:1] == [each.line for each in found.gaps]


def test_realized_of_every_instrument_and_what_is_open_is_the_cash() -> None:
    found = audited(
        row(2, Side.BUY, "3", "10", fee="1"),
        row(3, Side.SELL, "5", "12", fee="1"),
        row(4, Side.BUY, "1", "11", fee="1"),
    )
    btc = found.instruments["BTC"]
    cash = D(-30) + D(60) - D(11)
    assert btc.holding.basis is not None
    assert cash == btc.realized_pnl - btc.holding.qty * btc.holding.basis + ZERO
