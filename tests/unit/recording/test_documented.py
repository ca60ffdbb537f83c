"""The how-to on recording does what it says, command by command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.test_documented_commands import missing, run, steps_of


@pytest.mark.slow
def test_the_how_to_does_what_it_says(tmp_path: Path, root: Path) -> None:
    steps = steps_of(root / "docs/how-to/record-and-replay.md")
    assert len(steps) >= 10
    for step in steps:
        done = run(step.command, tmp_path)
        assert 0 == done.returncode, f"{step.command}\n{done.stdout}\n{done.stderr}"
        assert [] == missing(step, done.stdout), f"{step.command}\n{done.stdout}"
