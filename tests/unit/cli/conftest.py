"""One database with a history for all tests of commands, and a way to run a command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from actors.cli.main import main
from tests.engines import run_synthetic, simulated_engine


@frozen
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as the one JSON document that it must be."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line of an error."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert self.out == ""
        return lines[0]


Hold = Callable[..., Outcome]


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped database with closed positions; not to be changed."""
    running = simulated_engine(
        tmp_path_factory.mktemp("history"), strategies=("always-trade-canary", "momentum")
    )
    run_synthetic(running, 60)
    running.end()
    return running.database


@pytest.fixture
def database(history: Path, tmp_path: Path) -> Path:
    """A copy of its files that a test may damage."""
    for file in history.parent.iterdir():
        shutil.copy(file, tmp_path / file.name)
    return tmp_path / history.name


@pytest.fixture
def hold(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Hold:
    """Run `holdfast` in this process, in an empty folder."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")

    def run(*tokens: object) -> Outcome:
        capsys.readouterr()
        code = main([str(token) for token in tokens])
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    return run
