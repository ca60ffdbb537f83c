"""What all guards have in common: quarantine, snapshots, settings that contradict each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors import messages as msg
from actors.config import Config, ConfigError, load_config, with_overrides
from actors.fold import folded
from actors.guards.desk import KINDS
from actors.guards.settings import GuardsConfig
from actors.health import health_report
from actors.registry import Books
from actors.runtime.ids import IdSource
from actors.settings import guards_on, strategies_of
from actors.snapshot import captured, restored
from actors.world import Rules, World
from fsm import events as ev
from storage.journal import JournalReader
from tests.unit.guards.rigs import D, Fills, guard, guarded, ticks, trips


def test_every_guard_has_its_section_and_each_section_its_guard() -> None:
    config = Config()
    assert list(KINDS) == [n for n in vars_of(GuardsConfig()) if n in KINDS]
    assert set(KINDS) == set(guards_on(config))
    for name, kind in KINDS.items():
        assert name == kind.name
        off = with_overrides(config, {f"guards.{name}.enabled": False}, "test")
        assert name not in guards_on(off)


def vars_of(settings: GuardsConfig) -> list[str]:
    return [field.name for field in settings.__attrs_attrs__]  # type: ignore[attr-defined]


class Broken(Exception):
    pass


def test_a_guard_that_raises_now_and_then_stays_in_quarantine_in_the_end(tmp_path: Path) -> None:
    bench = guarded(tmp_path, directional_drift={}, exposure_limit={"asset_caps": {"XRP": D(1002)}})
    raising = True

    def before(address: str, message: object) -> None:
        nonlocal raising
        if address == "guard/directional_drift" and isinstance(message, msg.GuardTick):
            raising = not raising
            if raising:
                raise Broken(address)

    bench.engine.system.before_decide = before
    ticks(bench, 2_000)
    assert "DEGRADED" == bench.mode
    assert {"quarantine/guard/directional_drift"} == set(bench.engine.world.sources)
    assert 4 == len(bench.events(ev.MessageUnprocessed))
    bench.engine.system.before_decide = None
    bench.tell(msg.Recover("quarantine/guard/directional_drift"))
    fills = Fills(bench)
    for _ in range(3):
        fills()
    assert "HALTED" == bench.mode  # the others go on
    bench.proven()


def test_a_fill_that_one_guard_raised_over_is_not_counted_twice_by_another(tmp_path: Path) -> None:
    bench = guarded(tmp_path, directional_drift={}, exposure_limit={"asset_caps": {"XRP": D(9999)}})
    raised: list[object] = []

    def before(address: str, message: object) -> None:
        if address == "guard/exposure_limit" and not raised:
            raised.append(message)
            raise Broken(address)

    bench.engine.system.before_decide = before
    fills = Fills(bench)
    fills()
    bench.wait(1)
    assert 1 == guard(bench, "directional_drift").observations
    assert "ACTIVE" == bench.mode
    fills()
    assert [] == trips(bench)


def test_latches_and_switched_off_strategies_are_in_a_snapshot(tmp_path: Path) -> None:
    bench = guarded(tmp_path, drawdown={"strategy_loss_max": D(1), "recovery": "manual"})
    bench.quote("1", "1")
    bench.place("e1", strategy="alpha", qty=D(10))
    bench.fill("t1", "10", "e1", venue_us=bench.clock.now_us())
    bench.quote("0.5", "0.5")
    ticks(bench, 1)
    assert ["drawdown_guard_strategy"] == trips(bench)
    bench.kill()
    reader = JournalReader.open(bench.database)
    books = Books(World(rules=Rules(), ids=IdSource("")), None)
    head = folded(reader, books).head
    again = Books(World(rules=Rules(), ids=IdSource("")), None)
    restored(captured(books), again, head.seq)
    reader.close()
    assert books.latches == again.latches
    assert again.world.is_off("alpha")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("anchor_saturation.exit_mean_bps", 6, "must be below entry_mean_bps (6)"),
        ("anchor_saturation.exit_share_pct", 40, "must be below entry_share_pct (40)"),
        ("anchor_saturation.exit_share_pct", 0, "never reached"),
        ("anchor_saturation.cap_bps", 5.5, "must be at least entry_mean_bps (6)"),
        ("anchor_saturation.beyond_bps", 10, "must be below cap_bps (10)"),
        ("anchor_saturation.warm_ticks", 151, "must be at most baseline_ticks (150)"),
        ("anchor_saturation.lookback", 151, "must be at most baseline_ticks (150)"),
        ("anchor_saturation.anchor", "'A/B'", "needs guards.anchor_saturation.instrument"),
        ("anchor_saturation.instrument", "'A/B'", "needs guards.anchor_saturation.anchor"),
        ("inventory_corridor.base_share_min_pct", 75, "must be below base_share_max_pct (75)"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    tmp_path: Path, key: str, value: object, words: str
) -> None:
    section, _, name = key.rpartition(".")
    file = tmp_path / "holdfast.toml"
    file.write_text(f"[guards.{section}]\n{name} = {value}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(file, environ={})
    assert str(caught.value).startswith(f"{file}:2: guards.{key}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "[guards.anchor_saturation]\ninstrument = 'XRP/RLUSD'\nanchor = 'XRP/EUR'",
        "[guards.inventory_corridor]\ninstruments = ['XRP/EUR']",
        "[guards.exposure_limit]\ninstrument_caps = { 'XRP/EUR' = '5' }",
    ],
)
def test_an_instrument_that_nobody_trades_is_refused(tmp_path: Path, text: str) -> None:
    spec = "[instruments.'XRP/RLUSD']\nbase = 'XRP'\nquote = 'RLUSD'\n"
    file = tmp_path / "holdfast.toml"
    file.write_text(spec + text)
    with pytest.raises(ConfigError, match="no instrument 'XRP/EUR'; there are: XRP/RLUSD"):
        load_config(file, environ={})
    file.write_text(text)
    config = load_config(file, environ={})
    with pytest.raises(ConfigError, match="no instrument"):
        strategies_of(config, ())


def test_the_health_report_holds_what_can_be_known(tmp_path: Path) -> None:
    bench = guarded(tmp_path)
    report = health_report(bench.engine, 0.5, 0.0)
    assert (0.5, 0.0, None) == (report.turn_longest_s, report.writer_lag_s, report.clock_skew_s)
    assert report.wal_bytes is not None
    assert report.disk_free_bytes is not None
    assert report.disk_free_bytes > 0
