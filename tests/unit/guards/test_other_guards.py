"""Each other guard: trips, does not at the boundary, skips what is missing, recovers, restarts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors import messages as msg
from actors.guards.stale_feed import StaleFeed
from fsm import events as ev
from fsm import facts
from fsm.mode import ControlLevel
from fsm.vocabulary import OrderRole, OrderType, Side
from tests.unit.engine.handmade import Bench
from tests.unit.guards.rigs import PAIR, D, Fills, guard, guarded, reset, restarted, ticks, trips

# ------------------------------------------------------------------------------------- corridor


def corridor(folder: Path, **settings: Any) -> Bench:
    return guarded(folder, inventory_corridor={"instruments": (PAIR,), **settings})


@pytest.mark.parametrize(
    ("price", "tripped"), [("0.3334", False), ("0.333", True), ("3", False), ("3.01", True)]
)
def test_the_corridor_ends_at_its_shares(tmp_path: Path, price: str, tripped: bool) -> None:
    bench = corridor(tmp_path)  # 1000 of each
    bench.quote(price, price)
    ticks(bench, 3)
    assert tripped is bool(trips(bench))


def test_the_share_has_to_be_outside_for_three_ticks_in_a_row(tmp_path: Path) -> None:
    bench = corridor(tmp_path)
    for price in ("4", "1", "4"):
        bench.quote(price, price)
        ticks(bench, 2)
    assert [] == trips(bench)
    ticks(bench, 1)
    assert ["inventory_corridor_guard"] == trips(bench)


def test_a_missing_middle_price_neither_counts_nor_begins_the_count_anew(tmp_path: Path) -> None:
    bench = corridor(tmp_path)
    bench.quote("4", "4")
    ticks(bench, 2)
    bench.quote("4", None)
    ticks(bench, 10)
    assert [] == trips(bench)
    bench.quote("4", "4")
    ticks(bench, 1)
    assert "DEGRADED" == bench.mode
    bench.quote("1", "1")
    ticks(bench, 2)
    bench.quote(None, "1")
    ticks(bench, 10)
    assert "DEGRADED" == bench.mode
    bench.quote("1", "1")
    ticks(bench, 1)
    assert "ACTIVE" == bench.mode


def test_a_stale_quote_is_no_observation(tmp_path: Path) -> None:
    bench = guarded(
        tmp_path,
        {"stale_after_us": 5_000_000},
        inventory_corridor={"instruments": (PAIR,)},
    )
    bench.quote("4", "4")
    ticks(bench, 20)
    assert (1, []) == (guard(bench, "inventory_corridor").observations, trips(bench))


def test_only_what_was_quoted_in_this_session_is_watched_by_default(tmp_path: Path) -> None:
    bench = guarded(tmp_path, inventory_corridor={})
    bench.quote("4", "4")
    ticks(bench, 5)
    Fills(bench).placed(role=OrderRole.ENTRY)
    ticks(bench, 5)
    assert [] == trips(bench)
    Fills(bench).placed()
    bench.place("quote", role=OrderRole.QUOTE)
    ticks(bench, 3)
    assert ["inventory_corridor_guard"] == trips(bench)
    restarted(bench)
    bench.quote("4", "4")
    ticks(bench, 5)
    assert 1 == len(trips(bench))


@pytest.mark.parametrize(("left", "tripped"), [("30", False), ("29.99", True)])
def test_the_quote_floor_trips_in_the_turn_of_the_fill(
    tmp_path: Path, left: str, tripped: bool
) -> None:
    bench = corridor(tmp_path, base_share_max_pct=D(100))
    bench.quote("1", "1")
    Fills(bench)(qty=str(D(1000) - D(left)))
    assert tripped is bool(trips(bench))


def test_a_small_value_is_left_alone_and_ends_a_trip(tmp_path: Path) -> None:
    bench = corridor(tmp_path, value_min=D(4000))
    bench.quote("4", "4")
    ticks(bench, 3)
    assert "DEGRADED" == bench.mode
    bench.quote("2.9", "2.9")
    ticks(bench, 3)
    assert "ACTIVE" == bench.mode


# ------------------------------------------------------------------------------------- exposure


@pytest.mark.parametrize(("qty", "tripped"), [("5", False), ("5.001", True)])
def test_a_cap_is_allowed_and_what_is_above_it_halts(
    tmp_path: Path, qty: str, tripped: bool
) -> None:
    bench = guarded(tmp_path, exposure_limit={"asset_caps": {"XRP": D(1005)}})
    Fills(bench)(qty=qty)
    assert ("HALTED" if tripped else "ACTIVE") == bench.mode
    assert ("risk_exposure" if tripped else None) == bench.engine.books.mode.halt_reason


def test_an_instruments_cap_is_on_its_net_quantity(tmp_path: Path) -> None:
    bench = guarded(tmp_path, exposure_limit={"instrument_caps": {PAIR: D(5)}})
    fills = Fills(bench)
    for side in (Side.BUY, Side.SELL, Side.BUY):
        fills(side, qty="5")
    assert "ACTIVE" == bench.mode
    fills(qty="1")
    assert "HALTED" == bench.mode


def test_exposure_is_left_by_the_operators_resume_and_trips_again_while_above(
    tmp_path: Path,
) -> None:
    bench = guarded(tmp_path, exposure_limit={"asset_caps": {"XRP": D(1005)}})
    fills = Fills(bench)
    fills(qty="6")
    assert "it halted" in str(reset(bench, "exposure_limit")["error"])
    bench.do(msg.Resume("ann", "again"))
    ticks(bench, 1)
    assert ("HALTED", 2) == (bench.mode, len(trips(bench)))
    fills_out = "out"
    bench.do(
        msg.PlaceExit(
            position_id="inv/manual/XRP/USD",
            client_order_id=fills_out,
            type=OrderType.MARKET,
            qty=D(6),
        )
    )
    bench.fill("tout", "6", fills_out, venue_us=bench.clock.now_us())
    bench.do(msg.Resume("ann", "sold"))
    ticks(bench, 3)
    assert ("ACTIVE", 2) == (bench.mode, len(trips(bench)))
    bench.proven()


def test_a_halt_survives_a_kill_and_a_clean_start_forgets_it(tmp_path: Path) -> None:
    bench = guarded(tmp_path, exposure_limit={"asset_caps": {"XRP": D(1005)}})
    Fills(bench)(qty="6")
    restarted(bench)
    ticks(bench, 2)
    assert ("HALTED", True) == (bench.mode, guard(bench, "exposure_limit").latch.tripped)


# ------------------------------------------------------------------------------------- drawdown


def losing(folder: Path, rules: dict[str, Any], **settings: Any) -> Bench:
    bench = guarded(folder, rules, drawdown=settings)
    bench.quote("1", "1")
    Fills(bench)(qty="100", role=OrderRole.ENTRY, type_=OrderType.MARKET)
    return bench


@pytest.mark.parametrize(("price", "tripped"), [("0.8", False), ("0.799", True)])
@pytest.mark.parametrize("limit", ["max_session_loss", "daily_drawdown"])
def test_a_loss_beyond_its_limit_degrades(
    tmp_path: Path, limit: str, price: str, tripped: bool
) -> None:
    rules = {"max_session_loss": None, "daily_drawdown": None, limit: D(20)}
    bench = losing(tmp_path, rules)
    bench.quote(price, price)
    ticks(bench, 1)
    name = "session" if limit == "max_session_loss" else "day"
    assert ([f"drawdown_guard_{name}"] if tripped else []) == trips(bench)


def test_what_a_person_acknowledged_is_not_counted_again_and_survives_a_kill(
    tmp_path: Path,
) -> None:
    bench = losing(tmp_path, {"max_session_loss": None, "daily_drawdown": D(20)})
    bench.quote("0.75", "0.75")
    ticks(bench, 1)
    restarted(bench)
    bench.quote("0.7", "0.7")
    ticks(bench, 100)
    assert "DEGRADED" == bench.mode
    assert reset(bench, "drawdown")["accepted"]
    ticks(bench, 5)
    assert "ACTIVE" == bench.mode
    restarted(bench)
    bench.quote("0.5", "0.5")
    ticks(bench, 5)
    assert ("ACTIVE", 1) == (bench.mode, len(trips(bench)))
    bench.quote("0.49", "0.49")
    ticks(bench, 1)
    assert ("DEGRADED", 2) == (bench.mode, len(trips(bench)))
    bench.proven()


def test_a_loss_without_a_quote_is_what_was_realized(tmp_path: Path) -> None:
    bench = losing(tmp_path, {"max_session_loss": D(20), "daily_drawdown": None})
    bench.quote(None, None)
    ticks(bench, 5)
    assert [] == trips(bench)


def test_with_automatic_recovery_it_ends_when_the_loss_does(tmp_path: Path) -> None:
    rules = {"max_session_loss": D(20), "daily_drawdown": None}
    bench = losing(tmp_path, rules, recovery="auto")
    bench.quote("0.5", "0.5")
    ticks(bench, 1)
    assert "DEGRADED" == bench.mode
    bench.quote("0.9", "0.9")
    ticks(bench, 1)
    assert "ACTIVE" == bench.mode


# ----------------------------------------------------------------------------------- stale feed


def fed(folder: Path, *, with_position: bool = True) -> Bench:
    bench = guarded(folder, {"stale_after_us": 5_000_000}, stale_feed={})
    bench.quote("1", "1")
    if with_position:
        Fills(bench)(role=OrderRole.ENTRY, type_=OrderType.MARKET)
    return bench


def test_a_silence_is_one_gap_however_often_it_is_told(tmp_path: Path) -> None:
    bench = fed(tmp_path, with_position=False)
    began_us = bench.clock.now_us()
    ticks(bench, 5)
    bench.tell(msg.FeedGapSeen(PAIR, began_us, bench.clock.now_us(), "no data from the feed"))
    bench.engine.writer.project_all()
    [row] = bench.engine.reader.conn.execute("SELECT reason, to_time FROM feed_gaps").fetchall()
    assert ("no quote for more than 5 s", "2023-11-14T22:13:40.000000Z") == row
    assert 1 == bench.engine.world.markets[PAIR].gaps
    assert [] == trips(bench)
    bench.proven()


def test_fresh_for_ten_ticks_ends_it(tmp_path: Path) -> None:
    bench = fed(tmp_path)
    ticks(bench, 2)
    assert (["stale_feed_guard"], "DEGRADED") == (trips(bench), bench.mode)
    for number in range(10):
        assert "DEGRADED" == bench.mode, number
        bench.quote("1", "1")
        ticks(bench, 1)
    assert "ACTIVE" == bench.mode


def test_it_is_left_when_nothing_is_open_there_any_more(tmp_path: Path) -> None:
    bench = fed(tmp_path)
    ticks(bench, 2)
    bench.do(msg.SetControl(ControlLevel.FLATTEN, "ann", "out"))
    exit_id = bench.submits()[-1].client_order_id
    bench.fill("t9", "1", exit_id, venue_us=bench.clock.now_us())
    bench.do(msg.Resume("ann", "flat"))
    ticks(bench, 10)
    assert "ACTIVE" == bench.mode


def test_silence_on_a_cut_connection_is_no_observation(tmp_path: Path) -> None:
    bench = fed(tmp_path)
    bench.say(facts.VenueDisconnected(reason="cut"))
    ticks(bench, 20)
    assert ([], []) == (trips(bench), bench.events(ev.FeedGapRecorded))


def test_an_instrument_that_never_had_a_quote_is_stale_with_a_position_only(
    tmp_path: Path,
) -> None:
    bench = guarded(tmp_path, {"stale_after_us": 5_000_000}, stale_feed={})
    ticks(bench, 5)
    assert {} == stale(bench)
    Fills(bench)(role=OrderRole.ENTRY, type_=OrderType.MARKET)
    ticks(bench, 1)
    assert "DEGRADED" == bench.mode


def stale(bench: Bench) -> dict[str, None]:
    found = guard(bench, "stale_feed")
    assert isinstance(found, StaleFeed)
    return found.stale


# ------------------------------------------------------------------------------------ heartbeat

WELL = msg.HealthReport(
    turn_longest_s=0.1,
    writer_lag_s=0.0,
    wal_bytes=1,
    disk_free_bytes=10**12,
    clock_skew_s=0.0,
)


@pytest.mark.parametrize(
    "report",
    [
        msg.HealthReport(turn_longest_s=5.1),
        msg.HealthReport(writer_lag_s=5.1),
        msg.HealthReport(wal_bytes=513 << 20),
        msg.HealthReport(disk_free_bytes=63 << 20),
        msg.HealthReport(clock_skew_s=-61.0),
    ],
)
def test_a_bad_figure_of_the_process_degrades_until_it_was_well_for_a_minute(
    tmp_path: Path, report: msg.HealthReport
) -> None:
    bench = guarded(tmp_path, heartbeat={})
    bench.tell(report)
    assert "DEGRADED" == bench.mode
    ticks(bench, 30)
    assert "DEGRADED" == bench.mode  # said once, true until another report
    bench.tell(WELL)
    ticks(bench, 14)
    assert "DEGRADED" == bench.mode
    ticks(bench, 2)
    assert "ACTIVE" == bench.mode


def test_what_a_report_does_not_know_is_skipped_and_limits_are_allowed(tmp_path: Path) -> None:
    bench = guarded(tmp_path, heartbeat={})
    bench.tell(msg.HealthReport())
    bench.tell(
        msg.HealthReport(
            turn_longest_s=5.0,
            writer_lag_s=5.0,
            wal_bytes=512 << 20,
            disk_free_bytes=64 << 20,
            clock_skew_s=60.0,
        )
    )
    ticks(bench, 5)
    assert [] == trips(bench)


# --------------------------------------------------------------------------------- venue health


def test_failures_in_a_row_trip_and_three_answers_end_it(tmp_path: Path) -> None:
    bench = guarded(tmp_path, venue_health={})
    for _ in range(4):
        bench.tell(msg.PassEnded(ok=False, why="503"))
    assert [] == trips(bench)
    bench.tell(msg.PassEnded(ok=True))
    for number in range(5):
        assert [] == trips(bench), number
        bench.say(facts.VenueDisconnected(reason="cut"))
    assert (["venue_health_guard"], "DEGRADED") == (trips(bench), bench.mode)
    bench.tell(msg.PassEnded(ok=True), msg.PassEnded(ok=True), msg.PassEnded(ok=False, why="503"))
    bench.tell(msg.PassEnded(ok=True), msg.PassEnded(ok=True), msg.PassEnded(ok=True))
    ticks(bench, 1)
    assert "ACTIVE" == bench.mode


def test_orders_in_doubt_after_a_restart_are_no_failures_of_the_venue(tmp_path: Path) -> None:
    bench = guarded(tmp_path, venue_health={})
    fills = Fills(bench)
    bench.venue.fills = None
    for _ in range(6):
        fills.placed()
    restarted(bench)
    assert "RECONCILING" == bench.mode
    bench.wait(30)
    assert [] == trips(bench)


# --------------------------------------------------------------------------------- wallet truth


def test_the_reconcilers_word_is_one_trip_one_row_one_alert(tmp_path: Path) -> None:
    bench = guarded(tmp_path, wallet_truth={})
    bench.tell(msg.Degrade("wallet_truth", "XRP -3"), msg.Degrade("wallet_truth", "XRP -3"))
    bench.engine.writer.project_all()
    rows = "SELECT breaker, outcome FROM circuit_breaker_events"
    assert [("wallet_truth_guard", None)] == bench.engine.reader.conn.execute(rows).fetchall()
    assert {"WALLET_TRUTH": 1} == bench.engine.release.alert_counts
    bench.tell(msg.Recover("wallet_truth"))
    bench.engine.writer.project_all()
    assert "ACTIVE" == bench.mode
    assert [("wallet_truth_guard", "recovered")] == bench.engine.reader.conn.execute(
        rows
    ).fetchall()


@pytest.mark.parametrize(("degrades", "mode"), [(True, "DEGRADED"), (False, "ACTIVE")])
def test_switched_off_it_does_not_degrade(tmp_path: Path, degrades: bool, mode: str) -> None:
    bench = guarded(tmp_path, {"wallet_truth_degrades": degrades})
    bench.tell(msg.Degrade("wallet_truth", "XRP -3"))
    assert mode == bench.mode


def test_a_second_kill_before_the_gate_does_not_forget_a_halt(tmp_path: Path) -> None:
    bench = guarded(tmp_path, exposure_limit={"asset_caps": {"XRP": D(1005)}})
    Fills(bench)(qty="6")
    bench.venue.open = None  # the venue does not answer: the gate stays shut
    restarted(bench)
    assert "RECONCILING" == bench.mode
    bench.venue.open = {}
    restarted(bench)
    ticks(bench, 2)
    assert ("HALTED", "risk_exposure") == (bench.mode, bench.engine.books.mode.halt_reason)
