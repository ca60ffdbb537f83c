"""The sizer: its line to the last half, its runs of trades, and that only trades teach it (P06)."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from actors import messages as msg
from actors.config import ConfigError, with_overrides
from actors.config_keys import Config
from actors.entities import sizer as sizing
from actors.entities.sizer import (
    ConvictionSizer,
    SizeDecision,
    SizeRequest,
    SizerSettings,
    TradeResult,
    Trades,
)
from actors.settings import rules_from
from actors.snapshot_process import make_snapshot
from actors.world import Rules
from fsm import events as ev
from fsm import facts
from fsm.order import OrderTrigger
from fsm.vocabulary import ExitReason, InstrumentKind, OrderRole, Side
from tests.unit.engine.handmade import PAIR, RULES, SPOT, Bench
from tests.unit.storage.stories import PERP, Story

D = Decimal
SWAP = evolve(SPOT, kind=InstrumentKind.PERPETUAL, max_leverage=D(18))


def sized(
    qty: str, entry: str, capital: str, cap: str, settings: SizerSettings | None = None
) -> SizeDecision | None:
    request = SizeRequest(strategy="s", qty=D(qty), entry_price=D(entry), leverage_max=D(cap))
    return ConvictionSizer(settings or SizerSettings()).size(request, D(capital))


# -- the line ------------------------------------------------------------------------------------

#: size, entry, capital, cap -> leverage; worked out by hand, ties marked.
GOLDEN = [
    ("1", "100", "1000", "18", 1),  # conviction 0.1: below the line
    ("5", "100", "1000", "18", 1),  # 0.5: its beginning
    ("7.5", "100", "1000", "18", 2),  # 0.75 -> 1.5, a tie: to the even 2
    ("12.5", "100", "1000", "18", 2),  # 1.25 -> 2.5, a tie: to the even 2
    ("12.50001", "100", "1000", "18", 3),
    ("12.49999", "100", "1000", "18", 2),
    ("17.5", "100", "1000", "18", 4),  # 1.75 -> 3.5, a tie
    ("82.5", "100", "1000", "18", 16),  # 8.25 -> 16.5, a tie
    ("87.5", "100", "1000", "18", 18),  # 8.75 -> 17.5, a tie
    ("90", "100", "1000", "18", 18),  # 9.0: its end
    ("500", "100", "1000", "18", 18),
    ("7", "1", "12", "52", 2),  # 7/12, which no decimal holds: 1 + 6 x 1/12 = 1.5, a tie
    ("9", "1", "12", "52", 2),  # 9/12 -> 2.5, a tie
    ("11", "1", "12", "52", 4),  # 11/12 -> 3.5, a tie
    ("35", "1", "12", "52", 16),  # 35/12 -> 15.5, a tie
    ("90", "100", "1000", "5.9", 5),  # a cap between two numbers is the lower one
    ("90", "100", "1000", "1", 1),
    ("47.5", "100", "1000", "5", 3),  # 4.75: the middle of the line
]


@pytest.mark.parametrize("vector", GOLDEN, ids=[f"{v[0]}x{v[1]}/{v[2]}-{v[3]}" for v in GOLDEN])
def test_golden_vectors(vector: tuple[str, str, str, str, int]) -> None:
    *given_, leverage = vector
    decision = sized(*given_)
    assert decision is not None
    assert Decimal(leverage) == decision.leverage


def exactly(size: Decimal, entry: Decimal, capital: Decimal, cap: int) -> int:
    """The same in fractions, written another way: the nearest whole number, the even one of two."""
    line = Fraction(size) * Fraction(entry) / Fraction(capital)
    line = max(min(line, Fraction("9.0")), Fraction("0.5"))
    at = 1 + (line - Fraction("0.5")) * Fraction(cap - 1) / Fraction("8.5")
    below, above = math.floor(at), math.ceil(at)
    if at - below == above - at:
        return below if below % 2 == 0 else above
    return below if at - below < above - at else above


amounts = st.integers(1, 10**7).map(lambda n: D(n).scaleb(-3))


@given(size=amounts, entry=amounts, capital=amounts, cap=st.integers(1, 150))
def test_parity_with_exact_fractions(
    size: Decimal, entry: Decimal, capital: Decimal, cap: int
) -> None:
    decision = sized(str(size), str(entry), str(capital), str(cap))
    assert decision is not None
    assert exactly(size, entry, capital, cap) == decision.leverage
    assert 1 <= decision.leverage <= cap


@given(twelfths=st.integers(6, 108), cap=st.sampled_from((2, 18, 35, 52, 103)))
def test_parity_on_the_halves(twelfths: int, cap: int) -> None:
    """Caps for which the line meets many halves, at convictions that decimals cannot hold."""
    decision = sized(str(twelfths), "1", "12", str(cap))
    assert decision is not None
    assert exactly(D(twelfths), D(1), D(12), cap) == decision.leverage


@pytest.mark.parametrize("capital", ["0", "-5"])
def test_without_capital_there_is_no_conviction(capital: str) -> None:
    assert sized("1", "100", capital, "5") is None


def test_the_own_cap_and_the_exchanges_hold_both() -> None:
    decision = sized("500", "100", "1000", "18", SizerSettings(leverage_max=D(7)))
    assert decision is not None
    assert (D(7), D(7)) == (decision.leverage, decision.cap)


# -- multipliers -----------------------------------------------------------------------------------


def taught(*nets: str | None, settings: SizerSettings | None = None) -> ConvictionSizer:
    sizer = ConvictionSizer(settings or SizerSettings())
    for number, net in enumerate(nets):
        sizer.feedback(result(f"p{number}", net))
    return sizer


def result(position_id: str, net: str | None, **more: Any) -> TradeResult:
    value = None if net is None else D(net)
    return TradeResult(position_id=position_id, strategy="s", net_quote=value, **more)


@pytest.mark.parametrize(
    ("nets", "streak"),
    [
        ((), 0), (("1",), 1), (("-1",), -1), (("1", "2", "3"), 3), (("-1", "1", "1"), 2),
        (("1", "-1", "-1"), -2), (("-1", "0"), 0), (("0", "-1"), -1), (("1", "0", "1"), 1),
        (("-1", None, "-1"), -2), (("-1", None), -1), ((None,), 0),
    ],
)  # fmt: skip
def test_a_streak_counts_back_to_where_the_sign_changes(
    nets: tuple[str | None, ...], streak: int
) -> None:
    assert streak == taught(*nets).streak("s")
    assert 0 == taught(*nets).streak("another")


def test_a_correction_changes_the_trade_that_it_is_about() -> None:
    sizer = taught("-1", "-1", "-1")
    sizer.feedback(result("p1", "5", corrects=True))
    assert -1 == sizer.streak("s")
    sizer.feedback(result("forgotten", "5", corrects=True))
    assert (-1, 3) == (sizer.streak("s"), len(sizer.results["s"]))


def test_a_streak_is_bounded() -> None:
    sizer = taught(*["-1"] * (sizing.STREAK_MAX + 9))
    assert (-sizing.STREAK_MAX, sizing.STREAK_MAX) == (sizer.streak("s"), len(sizer.results["s"]))


TABLES = SizerSettings(
    streaks={-2: D("0.5"), -4: D("0.25"), 3: D(2)}, buckets={D(2): D("0.5"), D(5): D("0.1")}
)


@pytest.mark.parametrize(
    ("nets", "by"),
    [((), "1"), (("-1",), "1"), (("-1",) * 2, "0.5"), (("-1",) * 3, "0.5"), (("-1",) * 4, "0.25"),
     (("-1",) * 9, "0.25"), (("1",) * 2, "1"), (("1",) * 3, "2"), (("-1",) * 5 + ("1",), "1")],
)  # fmt: skip
def test_the_longest_run_that_was_reached_multiplies(nets: tuple[str, ...], by: str) -> None:
    request = SizeRequest(strategy="s", qty=D(10), entry_price=D(100), leverage_max=D(18))
    decision = taught(*nets, settings=TABLES).size(request, D(1000))
    assert decision is not None
    assert D(by) == decision.streak_multiplier
    # conviction 1 on a line that gives twice the conviction
    assert D({"1": 2, "0.5": 1, "0.25": 1, "2": 4}[by]) == decision.leverage


@pytest.mark.parametrize(
    ("qty", "by", "leverage"),
    [("19.99", "1", 4), ("20", "0.5", 2), ("49.9", "0.5", 5), ("50", "0.1", 1), ("80", "0.1", 2)],
)
def test_the_highest_bucket_that_conviction_reaches_multiplies(
    qty: str, by: str, leverage: int
) -> None:
    decision = sized(qty, "100", "1000", "18", TABLES)
    assert decision is not None
    assert (D(by), D(leverage)) == (decision.bucket_multiplier, decision.leverage)


# -- what a trade brought --------------------------------------------------------------------------


def results_of(story: Story) -> list[tuple[str, Decimal | None, bool]]:
    trades, found = Trades(), []
    for event in story.events:
        told = trades.apply(event)
        if told is not None:
            found.append((told.position_id, told.net_quote, told.corrects))
    return found


def round_trip(story: Story, name: str, sold: str | None, **fees: str) -> None:
    story.working(name, Side.BUY, "10", price="1", instrument=PERP)
    story.fill(name, "10", "1", **fees)
    exit_ = f"{name}-exit"
    story.working(exit_, Side.SELL, "10", price=None, position_id=f"p/{name}", role=OrderRole.EXIT,
                  instrument=PERP)  # fmt: skip
    story.fill(exit_, "10", sold, **fees)


def test_a_result_is_realized_less_fees_told_once_when_the_trade_is_over() -> None:
    story = Story.begun()
    round_trip(story, "A", "1.5", fee="0.25")
    round_trip(story, "B", "1.04", fee="0.25")  # what it won, its fees took
    assert [("p/A", D("4.50"), False), ("p/B", D("-0.10"), False)] == results_of(story)


def test_money_that_comes_and_goes_in_mid_trade_is_no_result() -> None:
    story = Story.begun()
    story.working("A", Side.BUY, "10", price="1", instrument=PERP)
    story.fill("A", "10", "1")
    for number, amount in enumerate((D(900), D(-300))):
        story.tell(
            ev.FundingBooked(
                instrument=PERP.name, asset="USDT", amount=amount, funding_id=f"f{number}"
            ),
            ev.CapitalRecorded(kind="deposit", asset="USDT", amount=amount),
        )
    story.working("X", Side.SELL, "10", price=None, position_id="p/A", role=OrderRole.EXIT,
                  instrument=PERP)  # fmt: skip
    story.fill("X", "10", "0.9")
    assert [("p/A", D("-1.0"), False)] == results_of(story)


def test_an_entry_that_never_filled_is_no_trade() -> None:
    story = Story.begun()
    story.intend("A", Side.BUY, "1")
    story.moved("A", OrderTrigger.NEVER_SENT, "request_not_left")
    story.entries_dead("p/A")
    assert [] == results_of(story)


def priced(bench: Bench, price: str | None, trade_id: str) -> None:
    exit_ = bench.submits()[-1].client_order_id
    bench.fill(trade_id, "10", exit_, price=None if price is None else D(price))


def trade(bench: Bench, number: int, price: str | None) -> None:
    """A position bought at 1 and sold at a price, through the door and the exits."""
    bench.tell(msg.SignalForDoor(evolve(WISH, signal_id=f"s{number}")))
    bench.fill(f"t{number}", "10", bench.submits()[-1].client_order_id)
    opened = bench.events(ev.PositionOpened)[-1].position_id
    bench.tell(msg.RequestExit(opened, ExitReason.OPERATOR))
    if price != "":
        priced(bench, price, f"x{number}")


WISH = ev.SignalRaised(
    signal_id="s", strategy="test", instrument=PAIR, side=Side.BUY, qty=D(10), notional=None,
    stop=D("0.5"), take_profit=D(2), trailing=None, expires_in_us=None, bid=None, ask=None,
    event_us=0, inputs={},
)  # fmt: skip
CAREFUL = evolve(RULES, sizer=SizerSettings(streaks={-1: D("0.75")}), stop_pct=None)


def bench_of(folder: Path, rules: Rules = CAREFUL, **more: Any) -> Bench:
    opening = {"USD": D(5)}  # ten at 1: a conviction of 2, which the line takes to 4
    bench = Bench(folder, rules=rules, **({"instrument": SWAP, "opening": opening} | more))
    bench.quote("1", "1")
    return bench


def test_the_door_gives_the_leverage_records_why_and_asks_for_that_margin(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    bench.tell(msg.SignalForDoor(WISH))
    decided = bench.events(ev.SignalDecided)[-1]
    check = {check.rule: check for check in decided.checks}["leverage"]
    assert ("1..18", "4: conviction 2, streak +0 x 1, bucket x 1", True) == (
        check.limit, check.value, check.passed,
    )  # fmt: skip
    assert ("free_funds", "2.5") == (decided.checks[-1].rule, decided.checks[-1].value)
    assert D(4) == bench.submits()[-1].leverage
    assert [D(4)] == [event.leverage for event in bench.events(ev.PositionOpened)]
    assert [D(4)] == [event.leverage for event in bench.events(ev.OrderIntended)]


def test_off_an_entry_may_use_what_its_instrument_allows(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, evolve(CAREFUL, sizer=None))
    bench.tell(msg.SignalForDoor(WISH))
    assert D(18) == bench.submits()[-1].leverage
    checks = bench.events(ev.SignalDecided)[-1].checks
    assert "leverage" not in [check.rule for check in checks]


def test_a_spot_entry_has_no_leverage_to_give(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, instrument=SPOT, opening={"USD": D(1000)})
    bench.tell(msg.SignalForDoor(WISH))
    assert D(1) == bench.submits()[-1].leverage


def test_without_capital_nothing_is_opened(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    bench.say(facts.FundingPaid(instrument=PAIR, amount=D(-5), funding_id="f"))
    bench.tell(msg.SignalForDoor(WISH))
    decided = bench.events(ev.SignalDecided)[-1]
    assert (False, "leverage", "0") == (decided.approved, decided.rule, decided.checks[-1].value)
    assert [] == bench.submits()


def test_a_lost_trade_lowers_the_next_and_foreign_money_in_mid_trade_does_not_hide_it(
    tmp_path: Path,
) -> None:
    """A stranger's trade on the same account is a jump of the wallet; the capital snaps to it."""
    leverages = []
    for name, foreign in (("alone", None), ("shared", D(3)), ("robbed", D("-0.5"))):
        folder = tmp_path / name
        folder.mkdir()
        bench = bench_of(folder)
        trade(bench, 1, "")
        ledger = bench.engine.world.ledger
        if foreign is not None:
            before = ledger.capital
            bench.say(facts.BalanceReport(asset="USD", total=D(5) + foreign))
            bench.say(facts.FundingPaid(instrument=PAIR, amount=foreign, funding_id="f1"))
            assert before + 2 * foreign == ledger.capital
        priced(bench, "0.99", "x1")
        if foreign is not None:  # and back again, so that the next entry sees the same capital
            bench.say(facts.FundingPaid(instrument=PAIR, amount=-foreign, funding_id="f2"))
            bench.say(facts.BalanceReport(asset="USD", total=D("4.90")))
            assert D("4.90") == ledger.capital
        assert {"test": {bench.events(ev.PositionOpened)[0].position_id: D("-0.10")}} == (
            bench.engine.world.sizer.results
        )
        bench.tell(msg.SignalForDoor(evolve(WISH, signal_id="s2")))
        leverages.append(bench.submits()[-1].leverage)
    assert [D(3)] * 3 == leverages


@pytest.mark.parametrize("snapshot", [False, True], ids=["journal", "snapshot"])
@pytest.mark.parametrize("when", ["in mid-trade", "after it"])
def test_a_restart_keeps_what_was_learnt(tmp_path: Path, when: str, snapshot: bool) -> None:
    bench = bench_of(tmp_path)
    trade(bench, 1, "0.99")
    trade(bench, 2, "" if when == "in mid-trade" else "0.99")
    before = bench.engine.books.trades, bench.engine.world.sizer.results
    bench.kill()
    if snapshot:
        assert make_snapshot(bench.database) > 0
    bench.start()
    assert before == (bench.engine.books.trades, bench.engine.world.sizer.results)
    if when == "in mid-trade":
        exits = [e for e in bench.events(ev.OrderIntended) if e.role is OrderRole.EXIT]
        bench.fill("x2", "10", exits[-1].client_order_id, price=D("0.99"))
    assert -2 == bench.engine.world.sizer.streak("test")


def test_an_exit_without_a_price_teaches_only_when_it_is_settled(tmp_path: Path) -> None:
    """P01: the result of the trade is the venue's figure, however late; 0 is not a result."""
    bench = bench_of(tmp_path)
    trade(bench, 1, "0.99")
    trade(bench, 2, None)
    sizer = bench.engine.world.sizer
    assert -1 == sizer.streak("test")  # the second is not known, and passed over
    exit_ = bench.submits()[-1].client_order_id
    bench.say(facts.FillSettled(client_order_id=exit_, trade_id="x2", realized_pnl=D(3), fee=D(0)))
    assert 1 == sizer.streak("test")
    bench.restart()
    assert 1 == bench.engine.world.sizer.streak("test")


# -- configuration ---------------------------------------------------------------------------------


def test_the_tables_reach_the_sizer() -> None:
    config = with_overrides(
        Config(),
        {
            "sizer.enabled": True,
            "sizer.leverage_max": 7,
            "sizer.streak_multipliers": {"-3": D("0.5"), "2": D("1.1")},
            "sizer.bucket_multipliers": {"2.5": D("0.9")},
        },
        "--x",
    )
    assert (
        SizerSettings(
            leverage_max=D(7), streaks={-3: D("0.5"), 2: D("1.1")}, buckets={D("2.5"): D("0.9")}
        )
        == rules_from(config).sizer
    )
    assert rules_from(Config()).sizer is None


@pytest.mark.parametrize(
    ("key", "row"),
    [("streak", "0"), ("streak", "x"), ("streak", "65"), ("streak", "03"), ("streak", "--1"),
     ("streak", "1.5"), ("bucket", "0"), ("bucket", "-1"), ("bucket", "x"), ("bucket", "2.0")],
)  # fmt: skip
def test_rows_that_mean_nothing_are_refused(key: str, row: str) -> None:
    with pytest.raises(ConfigError, match=f"sizer.{key}_multipliers: '{row}' is no"):
        with_overrides(Config(), {f"sizer.{key}_multipliers": {row: D(1)}}, "--x")
