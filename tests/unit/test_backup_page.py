"""The page on backups is run as written, with a service of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.test_documented_commands import ROOT, missing, run, steps_of


@pytest.mark.slow
def test_the_page_on_backups_does_what_it_says(tmp_path: Path) -> None:
    steps = steps_of(ROOT / "docs/how-to/backup-and-restore.md")
    for command in ("backup", "restore", "verify"):
        assert any(step.command.startswith(f"holdfast {command}") for step in steps)
    for step in steps:
        done = run(step.command, tmp_path)
        assert 0 == done.returncode, f"{step.command}\n{done.stdout}\n{done.stderr}"
        assert [] == missing(step, done.stdout), f"{step.command}\n{done.stdout}\n{done.stderr}"
