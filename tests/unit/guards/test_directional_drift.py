"""The drift guard: bursts, net value, no fill of the other side; and how it is left again."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors import messages as msg
from fsm import events as ev
from fsm.vocabulary import OrderRole, OrderType, Side
from tests.unit.guards.rigs import Fills, guard, guarded, reset, restarted, ticks, trips

DRIFT = "directional_drift"
A, B, C = (f"directional_drift_guard_{letter}" for letter in "ABC")


def test_a_burst_trips_in_the_turn_of_the_third_fill(tmp_path: Path) -> None:
    bench = guarded(tmp_path, directional_drift={})
    fills = Fills(bench)
    order_ids = [fills.placed() for _ in range(3)]
    for order_id in order_ids:
        assert [] == trips(bench)
        fills.filled(order_id, "1")
    assert ([A], "DEGRADED") == (trips(bench), bench.mode)
    rows = bench.engine.reader.conn.execute(
        "SELECT type, turn FROM journal WHERE type IN ('OrderFilled', 'GuardTripped') ORDER BY seq"
    ).fetchall()
    assert rows[-2][1] == rows[-1][1]
    assert ["OrderFilled", "GuardTripped"] == [kind for kind, _ in rows[-2:]]
    bench.proven()


def test_two_of_one_side_and_one_of_the_other_are_no_burst(tmp_path: Path) -> None:
    bench = guarded(tmp_path, directional_drift={})
    fills = Fills(bench)
    for side in (Side.BUY, Side.SELL, Side.BUY, Side.SELL):
        fills(side)
    assert [] == trips(bench)


@pytest.mark.parametrize(("seconds", "tripped"), [(15, True), (15.1, False)])
def test_the_window_of_a_burst_ends_at_thirty_seconds(
    tmp_path: Path, seconds: float, tripped: bool
) -> None:
    bench = guarded(tmp_path, directional_drift={})
    fills = Fills(bench)
    for _ in range(3):
        fills()
        bench.wait(seconds)
    assert tripped is bool(trips(bench))


@pytest.mark.parametrize(("qty", "tripped"), [("24.99", False), ("25", True)])
def test_net_value_trips_at_its_limit(tmp_path: Path, qty: str, tripped: bool) -> None:
    bench = guarded(tmp_path, directional_drift={})
    fills = Fills(bench)
    fills(qty="25")
    fills(qty=qty)
    assert tripped is (trips(bench) == [B])


def test_a_sale_counts_against_what_was_bought(tmp_path: Path) -> None:
    bench = guarded(tmp_path, directional_drift={})
    fills = Fills(bench)
    for side in (Side.BUY, Side.SELL, Side.BUY):
        fills(side, qty="40")
    assert [] == trips(bench)


def test_net_value_leaves_its_window(tmp_path: Path) -> None:
    bench = guarded(tmp_path, directional_drift={"condition_c": False})
    fills = Fills(bench)
    fills(qty="30")
    bench.wait(121)
    fills(qty="30")
    assert [] == trips(bench)


def test_a_fill_without_a_price_is_skipped_for_b_and_counted_for_a(tmp_path: Path) -> None:
    bench = guarded(tmp_path, directional_drift={})
    fills = Fills(bench)
    fills(qty="40", price=None)
    fills(qty="40")
    assert [] == trips(bench)
    fills(qty="1", price=None)
    assert [A] == trips(bench)


def test_a_wins_when_b_holds_too_and_b_is_not_recorded(tmp_path: Path) -> None:
    bench = guarded(tmp_path, directional_drift={})
    fills = Fills(bench)
    for qty in ("1", "1", "60"):
        fills(qty=qty)
    assert [A] == trips(bench)


def test_c_trips_at_the_fifteenth_tick_and_not_before(tmp_path: Path) -> None:
    bench = guarded(tmp_path, directional_drift={"condition_a": False})
    fills = Fills(bench)
    for _ in range(3):
        fills()
    ticks(bench, 14)
    assert [] == trips(bench)
    ticks(bench, 1)
    assert [C] == trips(bench)


def test_c_is_armed_by_the_third_fill_only(tmp_path: Path) -> None:
    bench = guarded(tmp_path, directional_drift={"condition_a": False})
    fills = Fills(bench)
    fills()
    fills()
    ticks(bench, 100)
    assert [] == trips(bench)
    fills()
    ticks(bench, 1)
    assert [C] == trips(bench)


def test_any_fill_of_the_other_side_is_opposing(tmp_path: Path) -> None:
    bench = guarded(tmp_path, directional_drift={"condition_a": False})
    fills = Fills(bench)
    for _ in range(3):
        fills()
    ticks(bench, 14)
    fills(Side.SELL, role=OrderRole.ENTRY, type_=OrderType.MARKET)
    ticks(bench, 50)
    assert [] == trips(bench)


@pytest.mark.parametrize("condition", ["a", "b", "c"])
def test_a_condition_that_is_off_never_trips(tmp_path: Path, condition: str) -> None:
    on = {f"condition_{letter}": letter != condition for letter in "abc"}
    bench = guarded(tmp_path, directional_drift=on)
    fills = Fills(bench)
    if condition == "b":
        fills(qty="100")
    else:
        for _ in range(3):
            fills()
            bench.wait(0 if condition == "a" else 16)
    found = trips(bench)
    ticks(bench, 14 if condition == "a" else 40)
    assert [] == found
    assert f"directional_drift_guard_{condition.upper()}" not in trips(bench)


def test_market_orders_exits_and_history_are_not_counted(tmp_path: Path) -> None:
    bench = guarded(tmp_path, directional_drift={})
    fills = Fills(bench)
    for _ in range(4):
        fills(qty="30", role=OrderRole.ENTRY, type_=OrderType.MARKET)
        fills(qty="30", age_s=121)
    assert [] == trips(bench)
    assert 0 == guard(bench, DRIFT).observations


def test_it_recovers_after_ten_ticks_and_does_not_count_the_same_fills_again(
    tmp_path: Path,
) -> None:
    bench = guarded(tmp_path, directional_drift={})
    fills = Fills(bench)
    for _ in range(3):
        fills(qty="30")
    ticks(bench, 9)
    assert "DEGRADED" == bench.mode
    ticks(bench, 1)
    assert "ACTIVE" == bench.mode
    fills()
    fills()
    assert [B] == trips(bench)
    ticks(bench, 40)
    bench.proven()


def test_a_new_condition_begins_the_ten_ticks_anew(tmp_path: Path) -> None:
    bench = guarded(tmp_path, directional_drift={})
    fills = Fills(bench)
    late = [fills.placed() for _ in range(3)]
    for _ in range(3):
        fills()
    ticks(bench, 9)
    for order_id in late:
        fills.filled(order_id, "1")
    ticks(bench, 9)
    assert ([A], "DEGRADED") == (trips(bench), bench.mode)
    ticks(bench, 1)
    assert "ACTIVE" == bench.mode


def test_a_restart_begins_with_empty_windows(tmp_path: Path) -> None:
    bench = guarded(tmp_path, directional_drift={})
    fills = Fills(bench)
    fills()
    fills()
    restarted(bench)
    fills()
    fills()
    assert [] == trips(bench)


def test_a_latch_that_opens_by_itself_does_not_outlive_its_process(tmp_path: Path) -> None:
    bench = guarded(tmp_path, directional_drift={})
    fills = Fills(bench)
    for _ in range(3):
        fills()
    restarted(bench)
    assert not guard(bench, DRIFT).latch.tripped
    assert "ACTIVE" == bench.mode


def test_a_manual_latch_survives_a_kill_and_only_a_person_opens_it(tmp_path: Path) -> None:
    bench = guarded(tmp_path, directional_drift={"recovery": "manual"})
    fills = Fills(bench)
    for _ in range(3):
        fills()
    ticks(bench, 100)
    assert "DEGRADED" == bench.mode
    restarted(bench)
    ticks(bench, 100)
    assert ("DEGRADED", True) == (bench.mode, guard(bench, DRIFT).latch.tripped)
    assert reset(bench, DRIFT)["accepted"]
    assert ("ACTIVE", False) == (bench.mode, guard(bench, DRIFT).latch.tripped)
    bench.proven()


def test_two_guards_in_one_turn_give_two_events_two_rows_and_two_alerts(tmp_path: Path) -> None:
    bench = guarded(
        tmp_path,
        directional_drift={},
        exposure_limit={"asset_caps": {"XRP": 1002}},
    )
    fills = Fills(bench)
    for _ in range(3):
        fills()
    assert [A, "exposure_limit_guard"] == trips(bench)
    assert "HALTED" == bench.mode
    assert {"DRIFT_GUARD": 1, "EXPOSURE_GUARD": 1} == bench.engine.release.alert_counts
    bench.engine.writer.project_all()
    rows = bench.engine.reader.conn.execute(
        "SELECT breaker, action, outcome FROM circuit_breaker_events ORDER BY seq"
    ).fetchall()
    assert [(A, "degrade", "halted risk_exposure"), ("exposure_limit_guard", "halt", None)] == rows


def test_a_reset_of_what_has_not_tripped_is_refused(tmp_path: Path) -> None:
    bench = guarded(tmp_path, directional_drift={})
    answer = reset(bench, DRIFT)
    assert (False, "guard directional_drift: it has not tripped") == (
        answer["accepted"],
        answer["error"],
    )
    bench.do(msg.ResetGuard("drift", "ann", ""))
    assert "no guard 'drift' is on" in str(bench.answers[-1]["error"])


def test_the_trip_says_what_it_saw(tmp_path: Path) -> None:
    bench = guarded(tmp_path, directional_drift={})
    fills = Fills(bench)
    fills(Side.SELL)
    for _ in range(3):
        fills()
    [tripped] = bench.events(ev.GuardTripped)
    assert {
        "instrument": "XRP/USD",
        "burst_count": 3,
        "burst_window_seconds": "30",
        "side": "buy",
        "fill_sides_in_window": ("sell", "buy", "buy", "buy"),
    } == tripped.context
