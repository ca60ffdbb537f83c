"""The measurements run; how fast they are is no test's business."""

from __future__ import annotations

import gc
import importlib.util
import json
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.bench.__main__ import main
from tests.bench.driving import engine_on, simulated
from tests.bench.gate import LIMIT, judge
from tests.bench.history import ended_life, open_position, working_entry, write_history
from tests.bench.measuring import Figures, Measured, Workload, WorkloadFailed, measure, spread_of
from tests.bench.recorded import recorded_ticks
from tests.bench.reporting import as_json, held
from tests.bench.targets import at_least, below
from tests.bench.workloads import WORKLOADS, growth_actors, growth_journal


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """A workload shortens the switch interval and tunes the collector, as the service does."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def _never(folder: Path, size: int) -> Figures:
    raise AssertionError("this workload is not run here")


def _workload(**more: object) -> Workload:
    settings: dict[str, object] = {
        "name": "market_orders",
        "about": "for a test",
        "size": 10,
        "quick_size": 1,
        "headline": ("orders_per_s",),
        "run": _never,
        "compared": ("orders_per_s",),
    }
    return Workload(**(settings | more))  # type: ignore[arg-type]


def _measured(ours: list[float], theirs: list[float], size: int = 10, **more: object) -> Measured:
    ratios = [our / their for our, their in zip(ours, theirs, strict=False)]
    return Measured(
        workload=_workload(**more),
        size=size,
        figures={"orders_per_s": spread_of(ours)},
        reference={"orders_per_s": spread_of(theirs)} if theirs else {},
        ratios={"orders_per_s": spread_of(ratios)} if theirs else {},
    )


def test_a_quick_workload_reports_its_figures_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    name = "idle_order_bytes"
    assert main(["--quick", "--json", "--no-reference", "--workload", name]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["workloads"]) == [name]
    reported = document["workloads"][name]
    assert reported["size"] == WORKLOADS[name].quick_size
    assert reported["figures"]["bytes_per_order"]["median"] > 0
    assert {"figure": "bytes_per_order", "target": "< 1024", "met": None} in reported["targets"]
    assert document["gate"] is None, "without the reference there is nothing to judge"


@pytest.mark.parametrize(
    ("name", "size", "figure"),
    [
        ("market_orders", 300, "orders_per_s"),
        ("market_orders_simulated", 300, "orders_per_s"),
        ("quotes", 300, "quotes_per_s"),
        ("raw_sqlite", 300, "orders_per_s"),
        ("restart", 1_000, "events_per_s"),
        ("backup", 1_000, "backup_mib"),
        ("ledger_fold", 300, "facts_per_s"),
        ("replay", 500, "ticks_per_s_strategy"),
        ("full_lives", 600, "lives_per_s"),
        ("kill_switch", 100, "first_cancel_ms"),
        ("memory", 4_000, "resident_mb_end"),
        ("growth_actors", 10_000, "growth"),
        ("growth_journal", 10_000, "growth"),
    ],
)
def test_a_workload_does_what_it_says_at_a_small_size(
    name: str, size: int, figure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (growth_actors, growth_journal):
        monkeypatch.setattr(module, "_PAIRS", 100)
    figures = WORKLOADS[name].run(tmp_path, size)
    assert figures[figure] > 0
    if not name.startswith("growth_"):  # which measure as many steps as the size allows
        assert set(WORKLOADS[name].headline) <= set(figures)
    assert set(WORKLOADS[name].compared) <= set(figures)
    assert set(WORKLOADS[name].same) <= set(figures)
    assert {target.figure for target in WORKLOADS[name].targets} <= set(figures)


@pytest.mark.skipif(
    importlib.util.find_spec("nautilus_trader") is None,
    reason="the reference engine is not installed (scripts/bench installs it)",
)
@pytest.mark.parametrize(
    "name", [name for name, workload in WORKLOADS.items() if workload.compared]
)
def test_the_reference_does_the_same_as_the_workload_that_it_is_compared_with(name: str) -> None:
    from tests.bench import measuring

    figures = measuring._in_a_process(measuring.REFERENCE, name, 200, None)
    assert set(WORKLOADS[name].compared) <= set(figures)
    assert set(WORKLOADS[name].same) <= set(figures)


def test_every_workload_is_named_after_its_key_and_is_not_larger_when_quick() -> None:
    for name, workload in WORKLOADS.items():
        assert name == workload.name
        assert 0 < workload.quick_size <= workload.size
        assert workload.headline


def test_a_spread_is_high_minus_low_over_the_median() -> None:
    spread = spread_of([90.0, 100.0, 120.0])
    assert (100.0, 90.0, 120.0) == (spread.median, spread.low, spread.high)
    assert spread.spread_pct == pytest.approx(30.0)


def test_the_gate_takes_the_median_of_the_pairs_and_says_what_it_found() -> None:
    verdict = judge([_measured([400.0, 300.0, 200.0], [100.0, 100.0, 100.0])])
    assert verdict is not None
    assert verdict.passed
    assert verdict.ratio == LIMIT
    failed = judge([_measured([299.0], [100.0])])
    assert failed is not None
    assert not failed.passed
    assert failed.text.startswith("durable market orders a second are 2.99 x the reference")
    assert "BELOW the gate of 3" in failed.text


@pytest.mark.parametrize(("later", "code", "times"), [([2.0, 3.5], 0, 2), ([2.0, 2.5], 1, 2)])
def test_a_miss_is_measured_again_and_the_best_counts(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    later: list[float],
    code: int,
    times: int,
) -> None:
    rates = iter([2.2, *later])
    asked: list[str] = []

    def measured(workload: Workload, **how: object) -> Measured:
        asked.append(workload.name)
        return _measured([100 * next(rates)], [100.0])

    monkeypatch.setattr("tests.bench.__main__.measure", measured)
    # Nothing is measured here: it need not be installed.
    monkeypatch.setattr("tests.bench.__main__.importlib.util.find_spec", lambda name: True)
    assert code == main(["--quick", "--workload", "market_orders"])
    assert ["market_orders"] * (1 + times) == asked
    assert f"are {max(2.2, *later):.2f} x the reference" in capsys.readouterr().err


def test_without_the_reference_or_for_another_workload_the_gate_says_nothing() -> None:
    assert judge([_measured([400.0], [])]) is None
    assert judge([_measured([1.0], [100.0], name="quotes")]) is None


def test_a_ratio_is_judged_at_any_size_and_a_duration_at_the_full_one_only() -> None:
    ratio, duration = at_least("orders_per_s", 2), below("orders_per_s", 500)
    assert held(_measured([400.0], [100.0], size=1), ratio) is True
    assert held(_measured([100.0], [100.0], size=1), ratio) is False
    assert held(_measured([400.0], []), ratio) is None
    assert held(_measured([400.0], [], size=1), duration) is None
    assert held(_measured([400.0], [], size=10), duration) is True
    assert held(_measured([500.0], [], size=10), duration) is False


def test_the_gate_is_in_the_json_document() -> None:
    done = [_measured([200.0], [100.0])]
    document = json.loads(as_json(done, quick=True, verdict=judge(done)))
    assert document["gate"] == {"ratio": 2.0, "limit": 3.0, "passed": False}
    assert document["workloads"]["market_orders"]["ratios"]["orders_per_s"]["median"] == 2.0


def test_sides_that_did_not_do_the_same_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.bench import measuring

    def one(module: str, name: str, size: int, place: Path | None) -> Figures:
        return {"orders_per_s": 1.0, "filled_qty": 2.0 if module == measuring.OURS else 1.0}

    monkeypatch.setattr(measuring, "_in_a_process", one)
    with pytest.raises(WorkloadFailed, match=r"filled_qty is 2\.0 here and 1\.0 in the reference"):
        measure(_workload(same=("filled_qty",)), quick=True, repeat=1)


def test_a_repetition_that_fails_is_named_with_its_last_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.bench import measuring

    monkeypatch.setattr(measuring, "OURS", "tests.bench.no_such_module")
    assert main(["--quick", "--no-reference", "--workload", "restart"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("bench: FAILED restart, size 20000 (tests.bench.no_such_module): ")
    assert "No module named" in said


def test_without_the_reference_engine_the_answer_says_how_to_get_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["--quick"]) == 4
    assert "run scripts/bench" in capsys.readouterr().err


def test_a_profile_shows_the_loop_and_the_writer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from attrs import evolve

    small = evolve(WORKLOADS["quotes"], quick_size=200)
    monkeypatch.setitem(WORKLOADS, "quotes", small)
    assert main(["--quick", "--profile", "quotes"]) == 0
    shown = capsys.readouterr().out
    assert "==== thread loop" in shown
    assert "==== writer process" in shown
    assert "writer.py" in shown


def test_ticks_of_a_replay_are_in_order_and_as_many_as_asked_for(tmp_path: Path) -> None:
    made_up = recorded_ticks(50, beside=tmp_path)
    assert made_up.recorded == 0
    assert len(made_up.ticks) == 50
    found = recorded_ticks(50)  # recorded ones where they lie beside the source tree
    assert len(found.ticks) == 50
    for ticks in (made_up.ticks, found.ticks):
        assert ticks == sorted(ticks, key=lambda tick: tick.event_us)


def _growth(**figures: float) -> str:
    found = {
        name: {"median": value, "low": value - 1, "high": value + 1}
        for name, value in figures.items()
    }
    return json.dumps({"workloads": {"growth_actors": {"figures": found}}})


def test_plots_are_drawn_from_a_document_and_come_out_the_same_again(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="what draws is not installed (scripts/bench does it)")
    document = tmp_path / "run.json"
    document.write_text(_growth(growth=1.1, event_us_1000=30.0, event_us_10000=33.0))
    drawn: list[bytes] = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        assert main(["--plots", str(tmp_path / name), "--from", str(document)]) == 0
        drawn.append((tmp_path / name / "growth-actors.svg").read_bytes())
        assert not (tmp_path / name / "growth-journal.svg").exists()
    assert drawn[0] == drawn[1]
    assert b"live actors" in drawn[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "nothing to draw"),
        ("[1", "cannot draw"),
        ('{"workloads": {"growth_actors": {}}}', "cannot draw"),
        (None, "cannot read"),
    ],
)
def test_a_document_that_cannot_be_drawn_gives_one_line(
    text: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "run.json"
    if text is not None:
        document.write_text(text)
    pytest.importorskip("matplotlib", reason="what draws is not installed (scripts/bench does it)")
    assert main(["--plots", str(tmp_path), "--from", str(document)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error


def test_a_copied_history_is_a_journal_that_an_engine_folds(tmp_path: Path) -> None:
    engine, _ = simulated(tmp_path)
    engine.close()
    database = engine.settings.database
    following = write_history(database, [ended_life(), open_position()], until_seq=500)
    write_history(database, [open_position()], until_seq=520, first=following)
    again = engine_on(tmp_path)  # checks the chain from its first row, and the head beside it
    assert again.writer.head.seq >= 520
    lives, more = following // 2, len(again.world.positions) - following // 2
    assert more > 0
    assert not again.world.orders, "what had ended is in memory"
    assert again.world.ledger.realized_pnl == lives * Decimal("1.9995")
    again.close()


def test_a_copied_life_has_names_of_its_own() -> None:
    pattern = working_entry()
    one, two = pattern.events(1), pattern.events(2)
    assert [type(event) for event in one] == [type(event) for event in two]
    assert {event.stream for event in one}.isdisjoint(event.stream for event in two)
