"""A file that cannot be run says where and why, in one line, with the nearest valid word."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.chaos.expectations import MISSING, holds, look_up, parse_expectations
from actors.chaos.reading import parse_scenario
from actors.chaos.scenario import ScenarioError
from actors.chaos.strict import duration_us
from actors.cli.chaos_commands import run
from tests.unit.chaos.runs import HEADER, run_text

EXPECT = '[[step]]\nexpect = { "mode.state" = "ACTIVE" }\n'


def _error(steps: str, header: str = HEADER, name: str = "test.toml") -> str:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(header + steps, Path(name))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ('sumbit = { role = "entry" }', ["test.toml:11", "sumbit", "'submit'"]),
        ('submit = { sied = "buy" }', ["submit.sied", "'side'"]),
        ("cancel = { }", ["cancel.client_order_id", "is missing"]),
        ('exit = { position = "p", reason = "stopp" }', ["exit.reason", "'stop'"]),
        ('tick = { instrument = "XRP/RLUSD", bid = true }', ["tick.bid", "not a decimal"]),
        ('tick = { instrument = "XRP/RLUSE", bid = "1" }', ["tick.instrument", "'XRP/RLUSD'"]),
        ('venue = { event = "acepted" }', ["venue.event", "'accepted'"]),
        ('venue = { event = "resolved" }', ["venue.instrument"]),
        ('venue = { event = "closed" }', ["venue.position"]),
        ('capital = { event = "deposti" }', ["capital.event", "'deposit'"]),
        ('control = { key = "a", value = "b" }', ["control.key", "later version"]),
        ('answer = { query = "fils", result = "found" }', ["answer.query", "'fills'"]),
        ('answer = { query = "fills", result = "rejected" }', ["answer.result"]),
        ('answer = { query = "fills", result = "found", fills = [{ qty = "1" }] }', ["trade_id"]),
        ('fault = { kind = "drop", on = "disk" }', ["fault.on", "drop works on submit"]),
        ('fault = { kind = "drop", on = "strem" }', ["fault.on", "'stream'"]),
        ('fault = { kind = "drop", on = "feed:X" }', ["fault.on", "later version"]),
        ('restart = "kil"', ["restart", "'kill'"]),
        ('wait = "5 parsecs"', ["wait", "not a duration"]),
        ('reconcile = "yes"', ["reconcile", "must be true"]),
        ('at = "soon"\nreconcile = true', ["at", "not a duration"]),
        ('reconcile = true\nwait = "1s"', ["step", "reconcile and wait"]),
        ("expect = { }", ["expect", "at least one"]),
        ('expect = { "a..b" = 1 }', ["expect", "empty segment"]),
        ('expect = { "a" = ">x" }', ["expect", "needs a number"]),
    ],
)
def test_a_wrong_step_is_named(step: str, words: list[str]) -> None:
    error = _error(f"[[step]]\n{step}\n{EXPECT}")
    for word in ("test.toml:", *words):
        assert word in error


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ('nam = "x"\n' + HEADER, ["test.toml:1", "nam", "'name'"]),
        ('guards = ["drift"]\n' + HEADER, ["guards", "'directional_drift'"]),
        (
            HEADER + '[venue]\nmode = "simulated"\nkind = "binary"\n',
            ["venue.kind", "later version"],
        ),
        (HEADER + '[venue]\nmode = "script"\n', ["venue.mode", "'scripted'"]),
        (HEADER + "[venue]\nlatency_ms = 3\n", ["venue.latency_ms", "simulated"]),
        (HEADER + '[config]\n"risk.stop_pc" = 3\n', ["test.toml:11", "risk.stop_pct"]),
        ('name = "x"\n', ["instrument"]),
        ("seed = 1.5\n" + HEADER, ["seed", "whole number"]),
        ("name = \n", ["not valid TOML"]),
    ],
)
def test_a_wrong_header_is_named(header: str, words: list[str]) -> None:
    error = _error(EXPECT, header)
    for word in ("test.toml", *words):
        assert word in error


def test_a_file_without_any_expect_is_an_error() -> None:
    assert "without any expect" in _error("[[step]]\nreconcile = true\n")


def test_json_lines_name_their_line() -> None:
    header = '{"name": "x", "instrument": [{"name": "A/B", "base": "A", "quote": "B"}]}'
    assert "test.jsonl:2" in _error('\n{"wiat": "1s"}', header, "test.jsonl")
    assert "test.jsonl:3" in _error('\n{"wait": "1s"}\n{', header, "test.jsonl")


def test_a_time_in_the_past_names_its_step() -> None:
    with pytest.raises(ScenarioError, match="step 2 lies in the past"):
        run_text(f'[[step]]\nwait = "5s"\n[[step]]\nat = "4s"\nreconcile = true\n{EXPECT}')


def test_the_command_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == run(tmp_path / "none.toml")
    (tmp_path / "a.toml").write_text("nonsense")
    assert 2 == run(tmp_path / "a.toml")
    assert 2 == len(capsys.readouterr().err.splitlines())


@pytest.mark.parametrize(
    ("text", "us"),
    [("0s", 0), ("1.5s", 1_500_000), ("2m", 120_000_000), ("500ms", 500_000), (3, 3_000_000)],
)
def test_durations(text: object, us: int) -> None:
    assert us == duration_us(text)


DOCUMENT = {
    "orders": {"A.1": {"qty": "10.0", "flags": ["x"], "note": None, "role": "exit"}},
    "on": True,
    "mode": {"sources": [{"source": "s", "condition": "c"}]},
}


@pytest.mark.parametrize(
    ("path", "expected", "result"),
    [
        ('orders."A.1".qty', "10", True),
        ('orders."A.1".qty', 10, True),
        ('orders."A.1".qty', "!=10", False),
        ('orders."A.1".qty', ">=10", True),
        ('orders."A.1".qty', "<10", False),
        ('orders."A.1".qty', "9.9..10", True),
        ('orders."A.1".qty', "10.1..11", False),
        ('orders."A.1".flags', "has:x", True),
        ('orders."A.1".flags', "has:y", False),
        ('orders."A.1".flags', ["x"], True),
        ('orders."A.1".note', "missing", True),
        ('orders."A.1".note', "present", False),
        ('orders."A.1".nothing', "missing", True),
        ('orders."A.1".nothing', "!=x", False),
        ('orders."A.1".nothing', 0, False),
        ("orders.@exit.qty", "10", True),
        ("on", True, True),
        ("on", 1, False),
        ("mode.sources", "has:s", True),
        ("mode.sources.s.condition", "c", True),
    ],
)
def test_the_forms_of_a_value(path: str, expected: object, result: bool) -> None:
    (expectation,) = parse_expectations({path: expected})
    assert result is holds(expectation.expected, look_up(DOCUMENT, expectation.segments))


def test_a_path_through_a_value_is_missing() -> None:
    assert MISSING is look_up(DOCUMENT, ("on", "x"))
