"""The order entity against the order state change matrices of FIX 4.4, appendix D.

Each row of a matrix is fed to one order through `decide` and `evolve`, as the fact or command that
a gateway would make of the message; then state, cumulative and remaining quantity are compared.
Rows of an alternative branch are fed to a copy. Where we differ on purpose it is said in
`DIFFERENCES`, with the reason; a difference that no longer occurs fails as well.
"""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field, frozen

from actors import messages as msg
from actors.effects import SendCancel
from actors.entities.order import Order
from actors.runtime.ids import IdSource
from actors.world import Rules, World
from fsm import facts
from fsm.money import ZERO
from fsm.order import OrderState
from fsm.vocabulary import OrderRole, OrderType, Side

ROOT = Path(__file__).resolve().parents[3]
MATRICES = ROOT.parent / "shared" / "data" / "reference" / "fix_order_state_matrices.json"
EXPECTED_IDS = ("A.1.b", "B.1.a", "B.1.b", "B.1.c", "B.1.e", "B.1.f")

ORDER_ID, VENUE_ID = "X", "v-1"
PRICE = Decimal(100)
S = OrderState

#: FIX's words for what we call by another name.
NAMES = {
    "New": S.WORKING,
    "Partially Filled": S.PARTIALLY_FILLED,
    "Filled": S.FILLED,
    "Pending Cancel": S.CANCEL_PENDING,
    "Canceled": S.CANCELED,
    "Rejected": S.REJECTED,
    "Done for Day": S.EXPIRED,
}

_OWN_VIEW = (
    "FIX states what the sell side knows, and it has not seen the request yet; our books know that "
    "a cancel is on its way, and a pending cancel is not forgotten"
)
_REFUSED = (
    "a refused cancel is not taken as proof of what the order is: the state stays, and evidence "
    "is looked up (cancel_race); the evidence then moves it to FIX's state, which is checked too"
)
_ALL_FILLED = (
    "for FIX Pending Cancel outranks Filled until the cancel is answered; for us nothing is "
    "pending on an order that has nothing left, and the late CancelReject is ignored"
)
_NEVER_THERE = (
    "FIX answers Rejected for an order that it never had; for us only absence with proof says so, "
    "and what never arrived has expired, because nobody refused it"
)
#: (scenario, time, message) -> (our state, why). Everything that is not here must be the same.
DIFFERENCES: dict[tuple[str, str, str], tuple[OrderState, str]] = {
    ("B.1.a", "4alt", "CancelReject(Y,X)"): (S.CANCEL_PENDING, _REFUSED),
    ("B.1.a", "5alt", "CancelReject(Y,X)"): (S.CANCEL_PENDING, _REFUSED),
    ("B.1.b", "4", "ER(X)"): (S.CANCEL_PENDING, _OWN_VIEW),
    ("B.1.b", "5alt", "CancelReject(Y,X)"): (S.CANCEL_PENDING, _REFUSED),
    ("B.1.b", "7alt", "CancelReject(Y,X)"): (S.CANCEL_PENDING, _REFUSED),
    ("B.1.c", "4", "ER(X)"): (S.CANCEL_PENDING, _OWN_VIEW),
    ("B.1.c", "5alt", "CancelReject(Y,X)"): (S.CANCEL_PENDING, _REFUSED),
    ("B.1.c", "6", "ER(X)"): (S.FILLED, _ALL_FILLED),
    ("B.1.e", "2", "ER(X)"): (S.CANCEL_PENDING, _OWN_VIEW),
    ("B.1.f", "2", "CancelReject(Y,X)"): (S.CANCEL_PENDING, _NEVER_THERE),
}


def load() -> list[dict[str, Any]]:
    if not MATRICES.is_file():
        return []
    found: list[dict[str, Any]] = json.loads(MATRICES.read_text(encoding="utf-8"))["scenarios"]
    return found


SCENARIOS = load()
needs_data = pytest.mark.skipif(
    not SCENARIOS, reason=f"reference data is not there: {MATRICES.name}"
)


@frozen
class Step:
    """What one row made of the order, as the tests compare it."""

    state: OrderState
    cumulative: Decimal
    leaves: Decimal


@define
class Driver:
    """One order and the shortest way to let it decide: events are applied, effects are kept."""

    order: Order
    world: World = field(factory=lambda: World(rules=Rules(), ids=IdSource("t")))
    trades: int = 0
    tells: list[object] = field(factory=list)
    effects: list[object] = field(factory=list)
    ignored: str | None = None

    def feed(self, message: object) -> None:
        decision = self.order.decide(message, self.world)
        for event in decision.events:
            self.order.evolve(event)
        self.tells, self.effects = list(decision.tells), list(decision.effects)
        self.ignored = decision.ignored

    def step(self) -> Step:
        # A dead order has nothing left to be executed, whatever its quantity was (FIX: LeavesQty).
        leaves = self.order.rest if self.order.is_live else ZERO
        return Step(self.order.state, self.order.filled_qty, leaves)

    def branch(self) -> Driver:
        return Driver(copy.deepcopy(self.order), trades=self.trades)

    def trade(self, qty: Decimal) -> None:
        self.trades += 1
        self.feed(
            facts.OrderFill(
                trade_id=f"t-{self.trades}", qty=qty, price=PRICE, client_order_id=ORDER_ID,
                venue_order_id=VENUE_ID,
            )
        )  # fmt: skip

    def found_open(self) -> None:
        """The reconciler's evidence: the order is on the venue's book."""
        on_book = facts.VenueOrder(
            venue_order_id=VENUE_ID, client_order_id=ORDER_ID, instrument="BTC-USDT",
            side=Side.BUY, qty=self.order.qty, filled_qty=self.order.filled_qty, state="open",
        )  # fmt: skip
        self.feed(msg.FoundOpen(ORDER_ID, on_book))


def intended(qty: Decimal) -> Driver:
    return Driver(
        Order(
            client_order_id=ORDER_ID, role=OrderRole.ENTRY, instrument="BTC-USDT", side=Side.BUY,
            type=OrderType.LIMIT, qty=qty, limit_price=PRICE, position_id="p-1", session_id="s-1",
            created_us=0,
        )
    )  # fmt: skip


def start(row: dict[str, Any]) -> Driver:
    """The order as the buy side has it after its first message of the scenario."""
    driver = intended(Decimal(row["order_qty"]))
    driver.feed(msg.SentOut(ORDER_ID))
    if row["msg"].startswith("CancelReq"):
        # A cancel for an order that the venue does not know: its submit was lost on the way.
        driver.feed(facts.OutcomeUnknown(client_order_id=ORDER_ID, reason="cut connection"))
        cancel(driver)
    return driver


def cancel(driver: Driver) -> None:
    driver.feed(msg.CancelOrder(ORDER_ID, "the strategy wants it gone"))
    assert driver.order.state is S.CANCEL_PENDING
    assert any(isinstance(effect, SendCancel) for effect in driver.effects)


def feed_row(driver: Driver, row: dict[str, Any]) -> None:
    """One message of the matrix, as our gateway would report it."""
    kind = row.get("exec_type")
    ids = {"client_order_id": ORDER_ID, "venue_order_id": VENUE_ID}
    if row["msg"].startswith("CancelReq"):
        cancel(driver)
    elif row["msg"].startswith("CancelReject"):
        driver.feed(facts.CancelRefused(reason=row.get("cxl_rej_reason", ""), **ids))
    elif kind == "New":
        driver.feed(facts.OrderAccepted(**ids))
    elif kind == "Trade":
        driver.trade(Decimal(row["last_qty"]))
    elif kind == "Canceled":
        driver.feed(facts.OrderCanceled(**ids))
    elif kind == "Rejected":
        driver.feed(facts.OrderRejected(reason="by the venue", **ids))
    elif kind == "Done for Day":
        driver.feed(facts.OrderExpired(reason="done for day", **ids))
    else:
        # Our request is pending from the moment we decide it: this report is no news to the books.
        assert kind == "Pending Cancel", row


def check_row(driver: Driver, scenario: str, row: dict[str, Any]) -> bool:
    """Compare with the row; answers whether a stated difference was seen."""
    step = driver.step()
    key = (scenario, row["time"], row["msg"])
    fix_state = NAMES[row["ord_status"]]
    state, _ = DIFFERENCES.get(key, (fix_state, ""))
    assert state is step.state, key
    if "cum_qty" in row:
        assert Decimal(row["cum_qty"]) == step.cumulative, key
        assert Decimal(row["leaves_qty"]) == step.leaves, key
    return state is not fix_state


def check_evidence(driver: Driver, row: dict[str, Any]) -> None:
    """After a refused cancel the order asks, and the answer moves it to FIX's state."""
    if not driver.order.is_live:
        assert driver.ignored is not None
        return
    assert [msg.LookUp] == [type(tell) for tell in driver.tells]
    evidence = driver.branch()
    if row["ord_status"] == "Rejected":
        evidence.feed(msg.NeverArrived(ORDER_ID, "absent by id, open orders and fills"))
        assert evidence.order.state is S.EXPIRED
    else:
        evidence.found_open()
        assert evidence.order.state is NAMES[row["ord_status"]]


@needs_data
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: str(scenario["id"]))
def test_the_order_follows_the_matrix(scenario: dict[str, Any]) -> None:
    name, rows = scenario["id"], scenario["rows"]
    driver, compared, seen = start(rows[0]), 0, set()
    for row in rows[1:]:
        acting = driver.branch() if row.get("alt") else driver
        feed_row(acting, row)
        if row["from"] == "buy":
            continue
        compared += 1
        if check_row(acting, name, row):
            seen.add((name, row["time"], row["msg"]))
        if row["msg"].startswith("CancelReject"):
            check_evidence(acting, row)
    assert compared == sum(1 for row in rows if row["from"] == "sell")
    assert {key for key in DIFFERENCES if key[0] == name} == seen


@needs_data
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: str(scenario["id"]))
def test_repeating_every_report_changes_nothing(scenario: dict[str, Any]) -> None:  # L5
    """The venue may say everything twice: same state, same quantities, each trade counted once."""
    rows = [row for row in scenario["rows"] if not row.get("alt")]
    driver = start(rows[0])
    for row in rows[1:]:
        trades = driver.trades
        feed_row(driver, row)
        once = driver.step()
        if row["from"] == "sell":
            driver.trades = trades  # the same trade id again
            feed_row(driver, row)
            assert once == driver.step(), row


@needs_data
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: str(scenario["id"]))
def test_quantities_add_up_at_every_report(scenario: dict[str, Any]) -> None:
    """OrderQty = CumQty + LeavesQty while the order is live, by our books as by theirs."""
    driver = start(scenario["rows"][0])
    for row in scenario["rows"][1:]:
        if row.get("alt"):
            continue
        feed_row(driver, row)
        step = driver.step()
        if driver.order.is_live:
            assert driver.order.qty == step.cumulative + step.leaves
            assert (
                not row.get("leaves_qty") or row["order_qty"] == row["cum_qty"] + row["leaves_qty"]
            )


@needs_data
def test_every_matrix_is_there_and_every_word_is_mapped() -> None:
    assert EXPECTED_IDS == tuple(scenario["id"] for scenario in SCENARIOS)
    words = {row["ord_status"] for s in SCENARIOS for row in s["rows"] if "ord_status" in row}
    assert words == set(NAMES)
    assert all(reason for _, reason in DIFFERENCES.values())


def test_an_engine_cancel_is_refused_like_any_other_but_never_taken_back() -> None:
    """Like B.1.b with our own intent: found on the book, the cancel is sent again."""
    driver = intended(Decimal(10000))
    driver.feed(msg.SentOut(ORDER_ID))
    driver.feed(facts.OrderAccepted(client_order_id=ORDER_ID, venue_order_id=VENUE_ID))
    driver.feed(msg.CancelOrder(ORDER_ID, "degraded", by_engine=True))
    driver.feed(facts.CancelRefused(client_order_id=ORDER_ID))
    assert [msg.LookUp] == [type(tell) for tell in driver.tells]
    driver.found_open()
    assert driver.order.state is S.CANCELLED_BY_ENGINE
    assert any(isinstance(effect, SendCancel) for effect in driver.effects)
