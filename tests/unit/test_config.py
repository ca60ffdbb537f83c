"""holdfast.toml: strict values, clear errors, and where each value comes from (L12)."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.config import (
    Config,
    ConfigError,
    config_reference,
    effective,
    explain_key,
    load_config,
    with_overrides,
)
from fsm.vocabulary import InstrumentKind, TradingMode


def load(directory: Path, text: str, **environ: str) -> Config:
    path = directory / "holdfast.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, environ=environ)


def error_of(directory: Path, text: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(directory, text, **environ)
    message = str(caught.value)
    assert "\n" not in message
    assert 2 == caught.value.exit_code
    return message.replace(f"{directory}/", "")


def test_without_a_file_the_paper_defaults_apply(tmp_path: Path) -> None:
    config = load_config(environ={}, directory=tmp_path)
    assert TradingMode.PAPER is config.engine.trading_mode
    assert Decimal(5) == config.risk.max_position_usd
    assert Decimal(20) == config.risk.target_pct
    assert {} == config.strategies
    assert {"default"} == {row.source for row in effective(config)}


def test_a_file_in_the_working_directory_is_found(tmp_path: Path) -> None:
    load(tmp_path, "[engine]\nseed = 7\n")
    assert 7 == load_config(environ={}, directory=tmp_path).engine.seed


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: cannot be read: No such file"):
        load_config(tmp_path / "absent.toml", environ={})


def test_decimals_come_from_text_integers_and_toml_floats_exactly(tmp_path: Path) -> None:
    text = "[risk]\nmax_position_usd = '0.10'\nstop_pct = 12.3\ntarget_pct = 4\n"
    risk = load(tmp_path, text).risk
    assert Decimal("0.10") == risk.max_position_usd
    assert Decimal("12.3") == risk.stop_pct
    assert Decimal(4) == risk.target_pct


def test_seconds_accept_integers_and_decimals(tmp_path: Path) -> None:
    orders = load(tmp_path, "[orders]\nsubmit_timeout_s = 2\ncancel_timeout_s = 0.5\n").orders
    assert (2.0, 0.5) == (orders.submit_timeout_s, orders.cancel_timeout_s)
    assert isinstance(orders.submit_timeout_s, float)


def test_no_target_must_be_explicit(tmp_path: Path) -> None:
    config = load(tmp_path, "[risk]\ntarget_pct = 'none'\n")
    assert config.risk.target_pct is None
    assert "none" == explain_key(config, "risk.target_pct")[1].value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[engine]\ndb = true", ":2: engine.db: must be text, not the boolean true"),
        ("[engine]\ndb = 5", ":2: engine.db: must be text, not the number 5"),
        ("[engine]\nseed = true", ":2: engine.seed: must be an integer, not the boolean true"),
        ("[engine]\nseed = 1.9", ":2: engine.seed: must be an integer, not the number 1.9"),
        ("[engine]\nseed = '1'", ":2: engine.seed: must be an integer, not the text '1'"),
        ("[feed]\n\ngap_s = 'x'", ":3: feed.gap_s: must be a number"),
        ("[feed]\ngap_s = true", ":2: feed.gap_s: must be a number"),
        ("[feed]\ngap_s = nan", ":2: feed.gap_s: must be a number"),
        ("[risk]\nstop_pct = inf", ":2: risk.stop_pct: must be a decimal"),
        (
            "[risk]\nstop_pct = true",
            ":2: risk.stop_pct: must be a decimal or 'none', not the boolean true",
        ),
        ("[risk]\ntarget_pct = 'off'", ":2: risk.target_pct: must be a decimal or 'none'"),
        ("[risk]\nallowed_strategies = 'a'", "risk.allowed_strategies: must be a list of text"),
        ("[risk]\nallowed_strategies = [1]", "risk.allowed_strategies: must be a list of text"),
        (
            "[strategies.momentum]\ninstrument = 'A/B'\nenabled = 1",
            "must be true or false, not the number 1",
        ),
        ("[engine]\nseed = { a = 1 }", ":2: engine.seed: must be an integer, not a dict"),
        ("engine = 3", ":1: engine: must be a table"),
        ("[strategies]\nmomentum = 3", ":2: strategies.momentum: must be a table"),
    ],
)
def test_a_wrong_type_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    assert message in error_of(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[risk]\nstop_pct = 0", "risk.stop_pct: must be in 0.01..100, not 0"),
        ("[risk]\nstop_pct = 101", "risk.stop_pct: must be in 0.01..100, not 101"),
        ("[engine]\nturns_in_flight_max = 0", "must be in 1..64, not 0"),
        ("[engine]\nmode = 'liv'", "not 'liv'; did you mean live?"),
        ("[engine]\nmode = 'papr'", "not 'papr'; did you mean paper?"),
    ],
)
def test_a_value_out_of_range_names_the_range(tmp_path: Path, text: str, message: str) -> None:
    assert message in error_of(tmp_path, text)


@pytest.mark.parametrize("bound", ["0.01", "100"])
def test_ranges_are_inclusive(tmp_path: Path, bound: str) -> None:
    assert Decimal(bound) == load(tmp_path, f"[risk]\nstop_pct = {bound}\n").risk.stop_pct


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "# c\n[risk]\nmax_positon_usd = 5",
            "holdfast.toml:3: risk.max_positon_usd: unknown key; did you mean "
            "risk.max_position_usd?",
        ),
        (
            "[engine]\nmax_position_usd = 5",
            "holdfast.toml:2: engine.max_position_usd: unknown key; did you mean "
            "risk.max_position_usd?",
        ),
        ("\n[enigne]\nseed = 1", "holdfast.toml:2: enigne: unknown section; did you mean engine?"),
        ("sede = 1", "holdfast.toml:1: sede: unknown section; did you mean"),
        (
            'engine.sed = 1\n[instruments."A/B"]',
            "holdfast.toml:1: engine.sed: unknown key; did you mean engine.seed?",
        ),
        (
            '[instruments]\n"A/B" = { base = "A", quote = "B", ticks = 1 }',
            "holdfast.toml:2: instruments.A/B.ticks: unknown key; did you mean "
            "instruments.A/B.price_tick?",
        ),
        ("[engine]\nseed = ", "holdfast.toml:2: not valid TOML"),
        ("[engine]\nseed = 1\nseed = 2", "holdfast.toml:3: not valid TOML"),
    ],
)
def test_an_unknown_key_names_file_line_key_and_the_nearest(
    tmp_path: Path, text: str, expected: str
) -> None:
    assert error_of(tmp_path, text).startswith(expected)


def test_every_key_rejects_a_table_and_a_misspelling_naming_itself(tmp_path: Path) -> None:
    for row in config_reference():
        section, _, name = row.key.rpartition(".")
        if "NAME" in section:
            continue
        misspelt = f"{name[:-1]}q{name[-1]}"
        assert f"did you mean {row.key}?" in error_of(tmp_path, f"[{section}]\n{misspelt} = 1")
        wrong = "true" if row.type == "a table of decimals" else "{}"
        assert f"{row.key}: must be" in error_of(tmp_path, f"[{section}]\n{name} = {wrong}")


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        "[engine]\nseed = 7\n[strategies.mean-rev]\ninstrument = 'A/B'\n",
        HOLDFAST_ENGINE__SEED="9",
        HOLDFAST_RISK__ALLOWED_INSTRUMENTS="A/B, C/D",
        HOLDFAST_RISK__TARGET_PCT="none",
        HOLDFAST_VENUE__MAX_IN_FLIGHT_S="2.5",
        HOLDFAST_STRATEGIES__MEAN_REV__ENABLED="false",
        HOLDFAST_TOKEN="not a key of the configuration",
        HOME="/",
    )
    assert 9 == config.engine.seed
    assert ("A/B", "C/D") == config.risk.allowed_instruments
    assert config.risk.target_pct is None
    assert 2.5 == config.venue.max_in_flight_s
    assert not config.strategies["mean-rev"].enabled
    assert "env HOLDFAST_ENGINE__SEED" == explain_key(config, "engine.seed")[1].source


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("HOLDFAST_ENGINE__SEED", "x", "engine.seed: must be an integer, not the text 'x'"),
        ("HOLDFAST_ENGINE__SED", "1", "engine.sed: unknown key; did you mean engine.seed?"),
        ("HOLDFAST_ENGIN__SEED", "1", "engin: unknown section; did you mean engine?"),
        ("HOLDFAST_VENUE__MAX_IN_FLIGHT_S", "soon", "venue.max_in_flight_s: must be a number"),
    ],
)
def test_a_wrong_environment_variable_is_named(
    tmp_path: Path, name: str, value: str, message: str
) -> None:
    error = error_of(tmp_path, "", **{name: value})
    assert error.startswith(f"env {name}: ")
    assert message in error


def test_overrides_take_text_or_values_and_leave_the_original_alone() -> None:
    before = load_config(environ={}, directory=Path("/nonexistent"))
    after = with_overrides(before, {"venue.max_in_flight_s": "2"}, "--max-in-flight")
    after = with_overrides(after, {"reconciler.age_threshold_s": 300}, "scenario.toml")
    assert 60.0 == before.venue.max_in_flight_s
    assert 2.0 == after.venue.max_in_flight_s
    sources = {row.key: row.source for row in effective(after)}
    assert "--max-in-flight" == sources["venue.max_in_flight_s"]
    assert "scenario.toml" == sources["reconciler.age_threshold_s"]
    assert "default" == sources["engine.seed"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"venue.max_in_flight": "2"}, "--set: venue.max_in_flight: unknown key; did you mean"),
        ({"venue.max_in_flight_s": "0"}, "--set: venue.max_in_flight_s: must be in"),
        ({"engine.seed": True}, "--set: engine.seed: must be an integer"),
        ({"engine": "x"}, "--set: engine: must be a table"),
        ({"nonsense": "x"}, "--set: nonsense: unknown section"),
    ],
)
def test_a_wrong_override_names_its_flag(overrides: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        with_overrides(Config(), overrides, "--set")


def test_strategies_keep_their_own_parameters(tmp_path: Path) -> None:
    text = (
        "[strategies.momentum]\ninstrument = 'XRP/RLUSD'\nlookback = 20\nthreshold_bps = 2.5\n"
        "[strategies.vwap]\ninstrument = 'XRP/RLUSD'\nenabled = false\n"
    )
    config = load(tmp_path, text)
    assert ["momentum", "vwap"] == list(config.strategies)
    momentum = config.strategies["momentum"]
    assert {"lookback": 20, "threshold_bps": Decimal("2.5")} == momentum.params
    assert not config.strategies["vwap"].enabled
    row = explain_key(config, "strategies.momentum.lookback")
    assert row[0] is None
    assert "20" == row[1].value
    assert row[1].source.endswith("holdfast.toml:3")


def test_a_strategy_without_an_instrument_is_refused(tmp_path: Path) -> None:
    assert "holdfast.toml:2: strategies.momentum.instrument: is missing" == error_of(
        tmp_path, "\n[strategies.momentum]\n"
    )


def test_instruments_become_values_of_the_machines(tmp_path: Path) -> None:
    text = (
        '[instruments."BTC.P/USD"]\nbase = "BTC"\nquote = "USD"\nkind = "perpetual"\n'
        'price_tick = "0.5"\nmax_leverage = 3\naliases = ["BTCUSD"]\n'
    )
    config = load(tmp_path, text)
    config = with_overrides(config, {"instruments.BTC.P/USD.min_qty": "0.001"}, "--set")
    config = with_overrides(config, {'instruments."BTC.P/USD".qty_step': "0.001"}, "--set")
    instrument = config.instruments["BTC.P/USD"].to_instrument("BTC.P/USD")
    assert InstrumentKind.PERPETUAL is instrument.kind
    assert Decimal("0.5") == instrument.price_tick
    assert Decimal("0.001") == instrument.min_qty == instrument.qty_step
    assert ("BTCUSD",) == instrument.aliases


@pytest.mark.parametrize(
    "text", ["[venue]\napi_key = 'hunter2'", "[strategies.s]\nmy_token = 'hunter2'"]
)
def test_secrets_are_refused_and_never_shown(tmp_path: Path, text: str) -> None:
    message = error_of(tmp_path, text)
    assert "secrets do not belong in the configuration" in message
    assert "hunter2" not in message


def test_sources_name_file_and_line_also_for_inline_and_dotted_keys(tmp_path: Path) -> None:
    text = "engine.seed = 3\nrisk = { stop_pct = 4 }\n\n[ lanes ] # c\n'control_max' = 9\n"
    config = load(tmp_path, text)
    sources = {row.key: row.source.rpartition("/")[2] for row in effective(config)}
    assert "holdfast.toml:1" == sources["engine.seed"]
    assert "holdfast.toml:2" == sources["risk.stop_pct"]
    assert "holdfast.toml:5" == sources["lanes.control_max"]


def test_explain_of_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"did you mean risk\.stop_pct\?"):
        explain_key(Config(), "risk.stop")


def test_every_key_is_documented_and_every_number_has_a_range() -> None:
    rows = config_reference()
    assert len({row.key for row in rows}) == len(rows)
    for row in rows:
        assert row.about, row.key
        assert "\n" not in row.about
        if row.type in ("an integer", "a number", "a decimal", "a decimal or 'none'"):
            assert ".." in row.range, row.key


def test_every_default_is_valid_when_written_out(tmp_path: Path) -> None:
    """What the reference shows as default can be given and gives the same configuration."""
    config = Config()
    overrides = {
        row.key: "" if row.default == "(empty)" else row.default
        for row in config_reference()
        if "NAME" not in row.key
    }
    assert config == with_overrides(config, overrides, "--set")


def test_the_values_are_frozen() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Config().engine.seed = 2  # type: ignore[misc]


@given(st.decimals("0.01", "100", allow_nan=False, places=8))
def test_decimals_survive_text_exactly(value: Decimal) -> None:
    config = with_overrides(Config(), {"risk.stop_pct": str(value)}, "--set")
    assert value == config.risk.stop_pct
    assert value == Decimal(explain_key(config, "risk.stop_pct")[1].value)
