"""Attacks on mode and guards: each name says how they would fail, each test what must hold."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from actors import messages as msg
from actors.config import ConfigError, load_config
from actors.strategies.base import Signal
from actors.world import Rules
from fsm import events as ev
from fsm import facts
from fsm.mode import ControlLevel
from fsm.vocabulary import OrderRole, OrderType, Side
from tests.unit.engine.handmade import Bench
from tests.unit.guards.rigs import D, Fills, guard, guarded, reset, restarted, ticks, trips
from tests.unit.guards.test_other_guards import losing

CAPPED = {"asset_caps": {"XRP": D(1005)}}


def unreachable(bench: Bench, down: bool = True) -> None:
    bench.venue.fills, bench.venue.open = (None, None) if down else ([], {})


def halted(folder: Path) -> Bench:
    bench = guarded(folder, exposure_limit=CAPPED)
    Fills(bench)(qty="6")
    assert ("HALTED", "risk_exposure") == (bench.mode, bench.engine.books.mode.halt_reason)
    return bench


# ------------------------------------------------------------------- the halt that is forgotten


def test_a_second_kill_at_the_gate_forgets_the_halt(tmp_path: Path) -> None:
    """HALTED, killed; killed again while it reconciles: it must still be HALTED."""
    bench = halted(tmp_path)
    unreachable(bench)
    restarted(bench)
    assert "RECONCILING" == bench.mode
    unreachable(bench, down=False)
    restarted(bench)
    ticks(bench, 3)
    assert "HALTED" == bench.mode


def test_a_kill_during_the_shutdown_of_a_halted_session_forgets_the_halt(
    tmp_path: Path,
) -> None:
    """HALTED, Ctrl-C, and the second Ctrl-C (or SIGKILL) before the end is written."""
    bench = halted(tmp_path)
    unreachable(bench)
    bench.tell(msg.StopSession("interrupted_sigint"))
    assert "STOPPING" == bench.mode
    unreachable(bench, down=False)
    restarted(bench)
    ticks(bench, 3)
    assert "HALTED" == bench.mode


def test_an_exposure_latch_without_its_halt_cannot_be_opened_and_guards_nothing(
    tmp_path: Path,
) -> None:
    """What follows from a forgotten halt: far above its cap, ACTIVE, and no way to arm it."""
    bench = halted(tmp_path)
    unreachable(bench)
    bench.tell(msg.StopSession("interrupted_sigint"))
    unreachable(bench, down=False)
    restarted(bench)
    bench.place("more", role=OrderRole.QUOTE, qty=D(100))
    assert "more" not in [s.client_order_id for s in bench.submits()]
    bench.fill("tmore", "100", "more", venue_us=bench.clock.now_us())
    ticks(bench, 5)
    assert "HALTED" == bench.mode
    assert "resume" in str(reset(bench, "exposure_limit")["error"])
    bench.do(msg.Resume("ann", "again"))
    assert bench.answers[-1]["accepted"]
    assert "HALTED" == bench.mode  # still above its cap


def test_a_latch_that_stands_at_a_recovery_start_hides_the_halt(tmp_path: Path) -> None:
    """Both a halt and a manual latch: while the venue is away it is DEGRADED, and `resume` says
    that nothing is halted."""
    bench = guarded(
        tmp_path,
        {"daily_drawdown": D(20)},
        exposure_limit=CAPPED,
        drawdown={},
    )
    bench.quote("1", "1")
    Fills(bench)(qty="100", role=OrderRole.ENTRY, type_=OrderType.MARKET)
    bench.quote("0.5", "0.5")
    ticks(bench, 1)
    assert "HALTED" == bench.mode
    unreachable(bench)
    restarted(bench)
    bench.wait(1)
    unreachable(bench, down=False)
    bench.wait(300)
    assert "HALTED" == bench.mode


# ----------------------------------------------------------------------------- trading above a cap


def test_after_a_resume_above_the_cap_an_order_leaves_before_it_trips_again(
    tmp_path: Path,
) -> None:
    bench = halted(tmp_path)
    bench.do(msg.Resume("ann", "again"))
    bench.place("more", role=OrderRole.QUOTE, qty=D(100))
    assert "more" not in [s.client_order_id for s in bench.submits()]


# ----------------------------------------------------------------------------------- wallet truth


def compared(
    folder: Path, rules: dict[str, object] | None = None, **on: dict[str, object]
) -> Bench:
    bench = guarded(folder, rules, **on)
    assert "ACTIVE" == bench.mode
    return bench


def differ(bench: Bench, by: str) -> None:
    bench.venue.balances = lambda: {
        asset: total + (D(by) if asset == "XRP" else 0)
        for asset, total in bench.engine.world.ledger.totals.items()
    }


def test_wallet_truth_switched_off_halts_all_the_same(tmp_path: Path) -> None:
    """`enabled = false`: no DEGRADED, no row, no alert; and HALTED after five minutes."""
    bench = compared(tmp_path, {"wallet_truth_degrades": False})
    differ(bench, "-3")
    bench.wait(200)
    assert "ACTIVE" == bench.mode
    bench.wait(600)
    assert "ACTIVE" == bench.mode


def test_a_difference_within_tolerance_does_not_end_wallet_truth(tmp_path: Path) -> None:
    """Dust within tolerance lets a start trade (`warn`), and never lets DEGRADED go."""
    bench = compared(tmp_path, wallet_truth={})
    differ(bench, "-3")
    bench.wait(130)
    assert "DEGRADED" == bench.mode
    differ(bench, "0.00005")
    bench.wait(1_000)
    assert "ACTIVE" == bench.mode


# ------------------------------------------------------------------------------------------ drift


@pytest.mark.parametrize("why", ["pause", "degraded", "halted"])
def test_drift_c_counts_while_nothing_of_ours_may_rest(tmp_path: Path, why: str) -> None:
    """N20 in general: no quote may rest, so nothing could oppose; yet it trips, spends an episode
    and outlives what stopped the quotes."""
    bench = guarded(tmp_path, directional_drift={"condition_a": False})
    fills = Fills(bench)
    for _ in range(3):
        fills()
    if why == "pause":
        bench.do(msg.SetControl(ControlLevel.PAUSE, "ann", "lunch"))
    elif why == "degraded":
        bench.tell(msg.Degrade("operator_test", "looking"))
    else:
        bench.tell(msg.Halt("operator_halt"))
    ticks(bench, 20)
    assert [] == trips(bench)


# --------------------------------------------------------------------------------------- drawdown


def test_a_restart_forgets_what_was_acknowledged_of_the_session(tmp_path: Path) -> None:
    bench = losing(tmp_path, {"max_session_loss": D(20), "daily_drawdown": None})
    bench.quote("0.7", "0.7")
    ticks(bench, 1)
    assert "DEGRADED" == bench.mode
    assert reset(bench, "drawdown")["accepted"]
    ticks(bench, 3)
    assert "ACTIVE" == bench.mode
    restarted(bench)
    bench.quote("0.7", "0.7")
    ticks(bench, 3)
    assert "ACTIVE" == bench.mode


def test_midnight_forgets_what_was_acknowledged(tmp_path: Path) -> None:
    """No new loss, only a new UTC day: the operator is called at 00:00 every night."""
    bench = losing(tmp_path, {"max_session_loss": None, "daily_drawdown": D(20)})
    bench.quote("0.7", "0.7")
    ticks(bench, 1)
    assert reset(bench, "drawdown")["accepted"]
    bench.wait(7_000)
    assert (1, "ACTIVE") == (len(trips(bench)), bench.mode)


def test_who_closes_on_the_next_day_what_was_acknowledged_loses_nothing_new(
    tmp_path: Path,
) -> None:
    bench = losing(tmp_path, {"max_session_loss": None, "daily_drawdown": D(20)})
    bench.quote("0.7", "0.7")
    ticks(bench, 1)
    assert reset(bench, "drawdown")["accepted"]
    bench.wait(7_000)
    bench.quote("0.7", "0.7")
    bench.do(msg.SetControl(ControlLevel.FLATTEN, "ann", "out"))
    exit_id = bench.submits()[-1].client_order_id
    bench.fill("tx", "100", exit_id, price=D("0.7"), venue_us=bench.clock.now_us())
    ticks(bench, 2)
    assert 1 == len(trips(bench))
    restarted(bench)
    ticks(bench, 2)
    assert 1 == len(trips(bench))
    bench.do(msg.Resume("ann", "flat"))
    fills = Fills(bench)
    fills.count = 10  # other ids than before
    fills(qty="100", role=OrderRole.ENTRY, type_=OrderType.MARKET)
    bench.quote("0.799", "0.799")
    ticks(bench, 1)
    assert 2 == len(trips(bench))  # this one is new


def test_automatic_recovery_of_the_account_switches_strategies_on_again(
    tmp_path: Path,
) -> None:
    rules = {"max_session_loss": D(20), "daily_drawdown": None}
    bench = guarded(tmp_path, rules, drawdown={"recovery": "auto", "strategy_loss_max": D(1)})
    bench.quote("1", "1")
    bench.place("e1", strategy="alpha", qty=D(100))
    bench.fill("t1", "100", "e1", venue_us=bench.clock.now_us())
    bench.quote("0.75", "0.75")
    ticks(bench, 2)
    assert bench.engine.world.is_off("alpha")
    bench.quote("1", "1")
    ticks(bench, 2)
    assert "ACTIVE" == bench.mode
    assert bench.engine.world.is_off("alpha")  # "stays off until a reset or a clean start"


def test_a_missing_quote_counts_as_no_loss_and_opens_the_latch(tmp_path: Path) -> None:
    rules = {"max_session_loss": D(20), "daily_drawdown": None}
    bench = losing(tmp_path, rules, recovery="auto")
    bench.quote("0.5", "0.5")
    ticks(bench, 1)
    assert "DEGRADED" == bench.mode
    bench.quote(None, "0.5")
    ticks(bench, 3)
    assert "DEGRADED" == bench.mode


def test_a_strategy_that_is_off_is_stuck_once_the_guard_is_switched_off(
    tmp_path: Path,
) -> None:
    bench = guarded(tmp_path, drawdown={"strategy_loss_max": D(1)})
    bench.quote("1", "1")
    bench.place("e1", strategy="alpha", qty=D(10))
    bench.fill("t1", "10", "e1", venue_us=bench.clock.now_us())
    bench.quote("0.5", "0.5")
    ticks(bench, 1)
    assert bench.engine.world.is_off("alpha")
    bench.rules = attrs.evolve(bench.rules, guards={})
    restarted(bench)
    accepted = reset(bench, "drawdown")["accepted"]
    assert accepted or not bench.engine.world.is_off("alpha")


def test_the_row_of_a_strategy_that_is_off_says_that_its_session_is_over(
    tmp_path: Path,
) -> None:
    bench = guarded(tmp_path, drawdown={"strategy_loss_max": D(1), "recovery": "auto"})
    bench.quote("1", "1")
    bench.place("e1", strategy="alpha", qty=D(10))
    bench.fill("t1", "10", "e1", venue_us=bench.clock.now_us())
    bench.quote("0.5", "0.5")
    ticks(bench, 1)
    restarted(bench)
    bench.engine.writer.project_all()
    sql = "SELECT outcome FROM circuit_breaker_events"
    [(outcome,)] = bench.engine.reader.conn.execute(sql).fetchall()
    assert bench.engine.world.is_off("alpha") is (outcome is None)


# ------------------------------------------------------------------------------------- quarantine


def broken(folder: Path) -> Bench:
    """A guard that raised until nobody begins it anew, and is well again."""
    bench = guarded(folder, exposure_limit=CAPPED)

    def before(address: str, message: object) -> None:
        if address == "guard/exposure_limit":
            raise ValueError(address)

    bench.engine.system.before_decide = before
    ticks(bench, 10)
    assert {"quarantine/guard/exposure_limit"} == set(bench.engine.world.sources)
    assert bench.engine.system.guards.views()["exposure_limit"]["quarantined"]
    bench.do(msg.Recover("quarantine/guard/exposure_limit", "ann", "too early"))
    assert "raised again" in str(bench.answers[-1]["error"])
    assert "DEGRADED" == bench.mode
    bench.engine.system.before_decide = None
    return bench


def test_a_guard_whose_quarantine_was_recovered_is_dead_and_shown_as_armed(
    tmp_path: Path,
) -> None:
    """The operator follows degraded.md (`recover SOURCE`, "if it still stands, it comes back"):
    ACTIVE, and the hard cap is not looked at again."""
    bench = broken(tmp_path)
    bench.do(msg.Recover("quarantine/guard/exposure_limit", "ann", "looked"))
    assert "ACTIVE" == bench.mode
    Fills(bench)(qty="500")
    ticks(bench, 5)
    assert "HALTED" == bench.mode


def test_nobody_can_open_a_latch_of_a_guard_in_quarantine(tmp_path: Path) -> None:
    """IDLE for ever: its only way out is a guard that is not asked any more."""
    bench = guarded(tmp_path, anchor_saturation={})
    bench.tell(msg.Regime(False, "anchor_saturation", "far off"))
    latch = bench.engine.books.latches.of("anchor_saturation")
    latch.tripped, latch.action = True, "idle"

    def before(address: str, message: object) -> None:
        if address == "guard/anchor_saturation":
            raise ValueError(address)

    bench.engine.system.before_decide = before
    ticks(bench, 10)
    bench.engine.system.before_decide = None
    bench.do(msg.Recover("quarantine/guard/anchor_saturation", "ann", "looked"))
    assert "IDLE" == bench.mode
    assert reset(bench, "anchor_saturation")["accepted"], bench.answers[-1]
    assert "ACTIVE" == bench.mode


# -------------------------------------------------------------------------------- configuration

SPEC = (
    "[instruments.'XRP/RLUSD']\nbase = 'XRP'\nquote = 'RLUSD'\n"
    "[instruments.'BTC/USDT']\nbase = 'BTC'\nquote = 'USDT'\nkind = 'perpetual'\n"
)


@pytest.mark.parametrize(
    "text",
    [
        "[guards.exposure_limit]\nasset_caps = { XPR = '5' }",
        "[guards.inventory_corridor]\ninstruments = ['BTC/USDT']",
        "[guards.inventory_corridor]\nquote_min = 60\nvalue_min = 50",
    ],
)
def test_what_guards_nothing_is_accepted(tmp_path: Path, text: str) -> None:
    """L12: a mistyped asset, a margined pair in the spot guard; a floor above the value at which
    the guard begins can never be left by a small account (N22)."""
    file = tmp_path / "holdfast.toml"
    file.write_text(SPEC)
    load_config(file, environ={})
    file.write_text(SPEC + text)
    with pytest.raises(ConfigError):
        load_config(file, environ={})


# -------------------------------------------------------------------------------- venue, process


def test_submits_that_were_filled_at_once_are_no_answers(tmp_path: Path) -> None:
    """A venue that answers a market order with its fill: one in five is rejected, not all."""
    bench = guarded(tmp_path, venue_health={})
    fills = Fills(bench)
    for _ in range(10):
        for _ in range(4):
            fills(type_=OrderType.MARKET, role=OrderRole.ENTRY)
        bad = fills.placed(type_=OrderType.MARKET, role=OrderRole.ENTRY)
        bench.say(facts.OrderRejected(client_order_id=bad, reason="no"))
    assert [] == trips(bench)


def test_who_resets_drawdown_is_told_that_the_door_goes_on_refusing(
    tmp_path: Path,
) -> None:
    """What a person acknowledges to the guard moves no limit of the door: they are told."""
    bench = losing(tmp_path, {"max_session_loss": D(20), "daily_drawdown": None})
    bench.quote("0.7", "0.7")
    bench.do(msg.SetControl(ControlLevel.FLATTEN, "ann", "out"))
    exit_id = bench.submits()[-1].client_order_id
    bench.fill("tx", "100", exit_id, price=D("0.7"), venue_us=bench.clock.now_us())
    bench.do(msg.Resume("ann", "flat"))
    ticks(bench, 1)
    assert "DEGRADED" == bench.mode
    answer = reset(bench, "drawdown")
    bench.quote("0.7", "0.7")
    ticks(bench, 1)
    assert "ACTIVE" == bench.mode
    bench.tell(msg.RaiseSignal(Signal(side=Side.BUY, qty=D(1)), "alpha", bench.instrument.name))
    [decided] = bench.events(ev.SignalDecided)
    assert "max_session_loss" == decided.rule
    assert "max_session_loss: 30 lost, limit 20" in str(answer["note"])
    said = guard(bench, "drawdown").view(bench.engine.world)["now"]["door_refuses"]
    assert ("max_session_loss: 30 lost, limit 20",) == said


def test_every_latch_is_the_same_from_a_snapshot(tmp_path: Path) -> None:
    from actors.fold import folded
    from actors.registry import Books
    from actors.runtime.ids import IdSource
    from actors.snapshot import captured, restored
    from actors.world import World
    from storage.journal import JournalReader

    bench = guarded(
        tmp_path, directional_drift={"recovery": "manual"}, exposure_limit=CAPPED, venue_health={}
    )
    fills = Fills(bench)
    for _ in range(3):
        fills(qty="2")
    assert "HALTED" == bench.mode
    bench.tell(*[msg.PassEnded(ok=False, why="503")] * 6)
    bench.proven()
    bench.kill()
    reader = JournalReader.open(bench.database)
    books = Books(World(rules=Rules(), ids=IdSource("")), None)
    head = folded(reader, books).head
    again = Books(World(rules=Rules(), ids=IdSource("")), None)
    restored(captured(books), again, head.seq)
    reader.close()
    assert (books.latches, books.mode) == (again.latches, again.mode)


def test_a_log_that_was_large_once_degrades_until_the_service_ends(tmp_path: Path) -> None:
    """A reader (a backup, an SQLite shell) that held the log back has gone; the log is written from
    its beginning again, but its file never gets smaller: heartbeat stays for ever."""
    import sqlite3

    bench = guarded(tmp_path, heartbeat={"wal_max_mb": 16})
    conn = bench.engine.writer.conn
    conn.execute("CREATE TABLE ballast (a BLOB)")
    reader = sqlite3.connect(bench.database)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM ballast").fetchall()
    for _ in range(24):
        conn.execute("INSERT INTO ballast VALUES (zeroblob(1048576))")
    reader.rollback()
    reader.close()
    for number in range(50):
        conn.execute("INSERT INTO ballast VALUES (?)", (str(number),))
    size = Path(f"{bench.database}-wal").stat().st_size
    bench.tell(msg.HealthReport(wal_bytes=size))
    assert [] == trips(bench), size


def test_a_fresh_start_above_its_cap_lets_entries_leave_for_a_whole_tick(
    tmp_path: Path,
) -> None:
    bench = guarded(tmp_path, exposure_limit={"asset_caps": {"XRP": D(500)}})  # opens with 1000
    bench.place("first", role=OrderRole.QUOTE, qty=D(100))
    assert [] == bench.submits()


def test_who_resumes_a_pending_halt_is_told_that_nothing_is_halted(tmp_path: Path) -> None:
    """After a crash the halt waits behind the gate; `status` says `halted by`, `resume` refuses."""
    bench = halted(tmp_path)
    unreachable(bench)
    restarted(bench)
    assert "risk_exposure" == bench.engine.books.mode.halt_reason
    bench.do(msg.Resume("ann", "looked"))
    assert bench.answers[-1]["accepted"], bench.answers[-1]


def test_an_accepted_divergence_lifts_a_halt_that_nobody_resumed(tmp_path: Path) -> None:
    """HALTED, crash, `--accept-truth-divergence`: DEGRADED instead, and ACTIVE when the wallet
    agrees again. The halt was about something else, and nobody resumed."""
    bench = guarded(tmp_path, wallet_truth={})
    bench.tell(msg.Halt("operator_halt"))
    bench.accept_divergence = True
    unreachable(bench)
    restarted(bench)
    differ(bench, "-3")
    unreachable(bench, down=False)
    bench.wait(10)
    differ(bench, "0")
    bench.wait(200)
    assert "HALTED" == bench.mode


def test_a_mode_that_raises_over_a_trip_lets_entries_leave(tmp_path: Path) -> None:
    """L8: what cannot be evaluated blocks new exposure. A quarantined mode blocks nothing."""
    bench = guarded(tmp_path, directional_drift={})

    def before(address: str, message: object) -> None:
        if address == "mode" and isinstance(message, msg.Degrade):
            raise ValueError(address)

    bench.engine.system.before_decide = before
    fills = Fills(bench)
    for _ in range(3):
        fills()
    bench.wait(60)
    assert ["directional_drift_guard_A"] == trips(bench)
    bench.place("more", role=OrderRole.QUOTE)
    assert "more" not in [s.client_order_id for s in bench.submits()]


def test_a_latch_that_stands_hides_the_gates_refusal(tmp_path: Path) -> None:
    """Books that differ at a start: HALTED, exit code 3. With any manual latch it is DEGRADED."""
    bench = losing(tmp_path, {"max_session_loss": None, "daily_drawdown": D(20)})
    bench.quote("0.7", "0.7")
    ticks(bench, 1)
    unreachable(bench)
    restarted(bench)
    differ(bench, "-3")
    unreachable(bench, down=False)
    bench.wait(100)
    assert ("HALTED", "truth_divergence") == (bench.mode, bench.engine.books.mode.halt_reason)


def test_automatic_drawdown_flaps_at_its_limit(tmp_path: Path) -> None:
    """No cool-down and no hysteresis: a price at the limit is an alert and a cancel-all a tick."""
    rules = {"max_session_loss": D(20), "daily_drawdown": None}
    bench = losing(tmp_path, rules, recovery="auto")
    for _ in range(10):
        bench.quote("0.799", "0.799")
        ticks(bench, 1)
        bench.quote("0.801", "0.801")
        ticks(bench, 1)
    assert len(trips(bench)) <= 3


def test_a_source_that_joins_spends_an_episode_of_its_own(tmp_path: Path) -> None:
    """Each source counts its own entries, whether others stand or not (N16)."""
    bench = guarded(tmp_path, venue_health={})
    bench.tell(msg.Degrade("operator_test", "looking"))
    bench.tell(*[msg.PassEnded(ok=False, why="503")] * 5)
    assert {"venue_health": 1} == dict(bench.engine.books.mode.episodes)


def test_a_scenarios_setting_of_a_guard_that_is_off_is_accepted(tmp_path: Path) -> None:
    """L12: the key parses and changes nothing; the scenario can then not fail."""
    from actors.chaos.reading import read_scenario
    from actors.chaos.runner import run_scenario
    from actors.chaos.words import ScenarioError

    file = tmp_path / "a.toml"
    file.write_text(
        "name = 'a'\nguards = ['heartbeat']\n[venue]\nmode = 'scripted'\nkind = 'spot'\n"
        "[[instrument]]\nname = 'XRP/RLUSD'\nbase = 'XRP'\nquote = 'RLUSD'\n"
        "[balances]\nXRP = '100'\n"
        "[config]\n'guards.exposure_limit.asset_caps' = { XRP = '1' }\n"
        "'guards.heartbeat.enabled' = false\n"
        "[[step]]\nwait = '60s'\n[[step]]\nexpect = { 'mode.state' = 'ACTIVE' }\n"
    )
    with pytest.raises(ScenarioError):
        run_scenario(read_scenario(file))


def test_a_reconciler_whose_quarantine_was_recovered_never_looks_again(
    tmp_path: Path,
) -> None:
    """ACTIVE by the operator's word, and nobody compares the books with the venue any more."""
    bench = guarded(tmp_path, wallet_truth={})

    def before(address: str, message: object) -> None:
        if address == "reconciler":
            raise ValueError(address)

    bench.engine.system.before_decide = before
    bench.wait(120)
    bench.engine.system.before_decide = None
    bench.do(msg.Recover("quarantine/reconciler", "ann", "looked"))
    differ(bench, "-300")
    bench.wait(600)
    assert "ACTIVE" != bench.mode


def test_what_waits_for_an_actor_in_quarantine_is_bounded(tmp_path: Path) -> None:
    """L9: an hour of a quarantined reconciler."""
    bench = guarded(tmp_path)

    def before(address: str, message: object) -> None:
        if address == "reconciler":
            raise ValueError(address)

    bench.engine.system.before_decide = before
    bench.wait(3_600)
    assert len(bench.events(ev.MessageUnprocessed)) <= 10


def test_the_flag_of_a_start_accepts_a_difference_that_came_days_later(tmp_path: Path) -> None:
    """`--accept-truth-divergence` is about the difference that the operator saw at that start. Here
    there was none; after a halt and a resume a new one of 300 is accepted by nobody."""
    bench = guarded(tmp_path)
    bench.kill()
    bench.accept_divergence = True
    bench.start()
    bench.engine.release.connected = True
    bench.wait(10)
    assert "ACTIVE" == bench.mode
    bench.tell(msg.Halt("operator_halt"))
    differ(bench, "-300")
    bench.do(msg.Resume("ann", "go on"))
    bench.wait(10)
    assert "HALTED" == bench.mode, bench.engine.books.mode.sources


def test_a_stall_of_our_own_is_no_stale_feed(tmp_path: Path) -> None:
    """The process was stopped for 9 s: the guard tick runs before the feed has had its turn. That
    is heartbeat's; three of them halt the session as the feed's episodes."""
    bench = guarded(tmp_path, {"stale_after_us": 5_000_000}, stale_feed={}, heartbeat={})
    bench.quote("1", "1")
    Fills(bench)(role=OrderRole.ENTRY, type_=OrderType.MARKET)
    bench.quote("1", "1")
    ticks(bench, 1)
    bench.quote("1", "1")
    bench.clock.move_to(bench.clock.now_us() + 10_000_000)
    bench.wait(1)
    assert "stale_feed_guard" not in trips(bench)
