"""The account: every figure from events, and the running totals equal to what they stand for."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings

from fsm import events as ev
from fsm.money import ZERO, divide
from fsm.order import OrderTrigger
from fsm.vocabulary import InstrumentKind, OrderRole, Side
from storage.ledger import _FOLDS, Balance, Ledger
from tests.unit.storage.lives import lives
from tests.unit.storage.stories import PERP, SPOT, D, Story, long_story


def folded(story: Story) -> Ledger:
    ledger = Ledger()
    for seq, event in enumerate(story.events, 1):
        ledger.apply(event, seq)
    return ledger


def test_opening_capital_is_an_event_like_any_other() -> None:
    view = folded(Story.begun(RLUSD="100", XRP="50")).view()
    assert {"RLUSD": Balance(D(100), ZERO), "XRP": Balance(D(50), ZERO)} == view.balances
    assert (D(100), "seed") == (view.capital, view.capital_source)


def test_a_priced_deposit_of_another_asset_counts_at_its_price() -> None:
    story = Story.begun(RLUSD="100")
    story.tell(ev.CapitalRecorded(kind="deposit", asset="XRP", amount=D(10), price=D("1.5")))
    assert D(115) == folded(story).capital


def test_a_spot_round_trip_moves_both_assets_and_pays_its_fees_in_either() -> None:
    story = Story.begun(RLUSD="100", XRP="50")
    story.working("A", Side.BUY, "10", price="1.30")
    story.fill("A", "10", "1.30", fee="0.1")
    story.working("B", Side.SELL, "4", price="1.40", position_id="p/A", role=OrderRole.EXIT)
    story.fill("B", "4", "1.40", fee="0.5", fee_asset="XRP")
    ledger = folded(story)
    assert D("100") - D("13") - D("0.1") + D("5.6") == ledger.totals["RLUSD"]
    assert D("50") + 10 - 4 - D("0.5") == ledger.totals["XRP"]
    assert D("0.4") == ledger.realized_pnl
    assert D("0.1") + D("0.5") * D("1.40") == ledger.fees_paid
    assert D(100) + ledger.realized_pnl - ledger.fees_paid == ledger.capital


def test_reserved_funds_follow_the_order_from_intent_to_end() -> None:
    story = Story.begun(RLUSD="100", XRP="50")
    story.intend("A", Side.BUY, "10", price="1.30")
    assert Balance(D(100), D("13.00")) == folded(story).balance("RLUSD")
    story.sent("A")
    story.acknowledged("A")
    trade = story.fill("A", "4", "1.20")
    assert D("7.80") == folded(story).balance("RLUSD").reserved
    story.void("A", trade)
    assert D("13.00") == folded(story).balance("RLUSD").reserved
    story.intend("B", Side.SELL, "7", price="2")
    assert Balance(D(50), D(7)) == folded(story).balance("XRP")
    story.moved("A", OrderTrigger.ENGINE_CANCEL)
    assert D("13.00") == folded(story).balance("RLUSD").reserved
    story.moved("A", OrderTrigger.CANCELED)
    assert ZERO == folded(story).balance("RLUSD").reserved
    story.fill("A", "1", "1.30")  # late, on a dead order: booked, and holds nothing back
    ledger = folded(story)
    assert (D("98.70"), ZERO) == (ledger.totals["RLUSD"], ledger.balance("RLUSD").reserved)
    assert D(7) == ledger.balance("XRP").reserved


def test_an_overfill_neverreserves_less_than_nothing() -> None:
    story = Story.begun()
    story.intend("A", Side.BUY, "10", price="1")
    ledger = folded(story)
    ledger._move_rest("A", D(-12))
    assert ZERO == ledger.balance("RLUSD").reserved
    ledger._move_rest("A", D(3))
    assert D(1) == ledger.balance("RLUSD").reserved


def short(leverage: str) -> Story:
    story = Story.begun(USDT="1000", RLUSD="100")
    story.working("E", Side.SELL, "100", price="0.2", instrument=PERP, leverage=leverage)
    story.fill("E", "60", "0.19", fee="0.02")
    return story


def test_a_perpetual_costs_margin_and_moves_its_wallet_by_realized_and_fees_only() -> None:
    for leverage in ("1", "3"):
        story = short(leverage)
        ledger = folded(story)
        assert divide(D(60) * D("0.19"), D(leverage)) == ledger.margin_used
        assert D("11.40") == ledger.open_notional
        assert D("1000") - D("0.02") == ledger.totals["USDT"]
        assert "FET" not in ledger.totals
        story.working("F", Side.BUY, "60", price=None, position_id="p/E", role=OrderRole.EXIT,
                      instrument=PERP)  # fmt: skip
        story.fill("F", "60", "0.18", fee="0.03")
        story.moved("E", OrderTrigger.CANCELED)
        ledger = folded(story)
        assert D("0.60") == ledger.realized_pnl  # the same at any leverage
        assert D("1000") + D("0.60") - D("0.05") == ledger.totals["USDT"]
        assert (ZERO, ZERO) == (ledger.margin_used, ledger.open_notional)


def test_spot_positions_cost_no_margin() -> None:
    story = Story.begun()
    story.working("A", Side.BUY, "10", price="1.30")
    story.fill("A", "10", "1.30")
    ledger = folded(story)
    assert (ZERO, D("13.00")) == (ledger.margin_used, ledger.open_notional)


def test_what_a_position_leaves_behind_is_nothing() -> None:
    story = short("3")
    story.fill("E", "40", "0.2")
    story.working("F", Side.BUY, "100", price=None, position_id="p/E", role=OrderRole.EXIT,
                  instrument=PERP)  # fmt: skip
    story.fill("F", "100", "0.18")
    story.intend("G", Side.BUY, "1")
    story.moved("G", OrderTrigger.NEVER_SENT, "request_not_left")
    story.entries_dead("p/G")
    ledger = folded(story)
    assert (0, 0, 0, {}) == (
        len(ledger.exposures.leverages), len(ledger.exposures.of), len(ledger.reserves),
        ledger.running(),
    )  # fmt: skip


def test_dust_that_a_closed_position_leaves_is_not_deployed_capital() -> None:
    story = Story.begun()
    story.working("A", Side.BUY, "10", price="1.30")
    story.fill("A", "10", "1.30")
    story.entries_dead("p/A")
    assert ZERO == folded(story).open_notional


def test_funding_moves_wallet_and_capital_once() -> None:
    story = Story.begun(USDT="1000")
    story.tell(
        ev.FundingBooked(instrument=PERP.name, asset="USDT", amount=D("-2.5"), funding_id="f")
    )
    ledger = folded(story)
    assert (D("997.5"), D("997.5"), ZERO) == (
        ledger.totals["USDT"], ledger.capital, ledger.realized_pnl,
    )  # fmt: skip


#: (side, quantity, price) -> held quantity and average cost after it
WAC = [
    (Side.BUY, "10", "1.0", D(10), D("1")),
    (Side.BUY, "10", "2.0", D(20), D("1.5")),
    (Side.SELL, "5", "9.0", D(15), D("1.5")),
    (Side.BUY, "15", "3.0", D(30), D("2.25")),
    (Side.SELL, "30", "1.0", D(0), D("2.25")),
    (Side.BUY, "4", "7.0", D(4), D("7")),
]


def test_average_cost_moves_with_buys_and_stays_with_sales() -> None:
    story = Story.begun()
    for number, (side, qty, price, held, average) in enumerate(WAC):
        story.working(f"o{number}", side, qty, price=price)
        story.fill(f"o{number}", qty, price)
        ledger = folded(story)
        assert (held, average) == ledger.inventory.held["XRP"], number
        assert ledger.view().wac == ({"XRP": average} if held else {}), number


def test_a_void_puts_the_average_cost_back() -> None:
    story = Story.begun()
    story.working("A", Side.BUY, "20", price="2")
    story.fill("A", "10", "1")
    taken_back = story.fill("A", "5", "2")
    story.void("A", taken_back)
    assert (D(10), D(1)) == folded(story).inventory.held["XRP"]
    story.working("B", Side.SELL, "20", price="2")
    sold = story.fill("B", "10", "3")
    story.void("B", sold)
    assert (D(10), D(1)) == folded(story).inventory.held["XRP"]


def cash_flows(story: Story) -> dict[str, Decimal]:
    """Every movement of money that the events tell, summed without the ledger. A perpetual's
    quantity counts as if it had been paid for: what is open at its cost is the difference."""
    sums: dict[str, Decimal] = {}
    for event in story.events:
        flows: list[tuple[str | None, Decimal]] = []
        if isinstance(event, (ev.CapitalRecorded, ev.FundingBooked)):
            flows = [(event.asset, event.amount)]
        elif isinstance(event, (ev.OrderFilled, ev.OrderFillVoided)):
            sign = 1 if isinstance(event, ev.OrderFilled) else -1
            instrument = SPOT if event.instrument == SPOT.name else PERP
            flows = [(event.fee_asset, -sign * event.fee)]
            qty, price = sign * event.side.sign * event.qty, event.price or ZERO
            flows += [(instrument.quote, -qty * price)]
            if instrument.kind is InstrumentKind.SPOT:
                flows += [(instrument.base, qty)]
        for asset, amount in flows:
            if asset is not None:
                sums[asset] = sums.get(asset, ZERO) + amount
    return sums


@settings(max_examples=60, deadline=None)
@given(story=lives())
def test_balances_are_the_sum_of_the_cash_flows(story: Story) -> None:
    ledger = folded(story)
    expected = cash_flows(story)
    net = ledger.net(PERP.name)
    at_cost = net.qty * (net.basis or ZERO)
    expected[PERP.quote] = expected.get(PERP.quote, ZERO) + at_cost
    for asset in expected.keys() | ledger.totals.keys():
        off = expected.get(asset, ZERO) - ledger.totals.get(asset, ZERO)
        assert abs(off) < D("1e-15"), asset  # the basis is a quotient, everything else is exact


@settings(max_examples=60, deadline=None)
@given(story=lives())
def test_running_totals_equal_their_sums_after_every_event(story: Story) -> None:
    ledger = Ledger()
    for seq, event in enumerate(story.events, 1):
        ledger.apply(event, seq)
        assert ledger.recomputed() == ledger.running(), seq


@settings(max_examples=20, deadline=None)
@given(story=lives())
def test_two_folds_of_one_journal_are_identical(story: Story) -> None:
    assert folded(story) == folded(story)
    assert folded(story).view() == folded(story).view()


def test_a_long_story_ends_with_nothing_open_but_the_held_order() -> None:
    ledger = folded(long_story())
    assert {"reserved RLUSD"} == set(ledger.running())
    heeded = [seq for seq, e in enumerate(long_story().events, 1) if type(e) in _FOLDS]
    assert heeded[-1] == ledger.view().event_seq
