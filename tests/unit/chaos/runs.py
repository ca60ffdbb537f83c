"""Running scenario files in tests, quietly."""

from __future__ import annotations

from pathlib import Path

from actors.chaos.outcome import Outcome
from actors.chaos.reading import parse_scenario, read_scenario
from actors.chaos.runner import run_scenario

ROOT = Path(__file__).resolve().parents[2] / "scenarios"
FILES = sorted([*ROOT.rglob("*.toml"), *ROOT.rglob("*.jsonl")])

HEADER = """
name = "a test"
[[instrument]]
name = "XRP/RLUSD"
base = "XRP"
quote = "RLUSD"
[balances]
XRP = "100"
RLUSD = "100"
"""


def run_file(path: Path) -> Outcome:
    return run_scenario(read_scenario(path))


def run_text(steps: str, header: str = HEADER, name: str = "test.toml") -> Outcome:
    return run_scenario(parse_scenario(header + steps, Path(name)))


def shown(outcome: Outcome) -> str:
    return "\n".join(
        f"step {f.step}: {f.path} is {f.actual!r}, expected {f.expected!r}"
        for f in outcome.failures
    )
