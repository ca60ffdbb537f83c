"""The incident of a dead key can fail: a build with its own numbers fails it (N08, L12)."""

from __future__ import annotations

import pytest

from actors.chaos import runner
from actors.config import Config
from actors.settings import rules_from
from tests.unit.chaos.runs import ROOT, fails_with


def works_with_its_own_numbers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runner, "rules_from", lambda config: rules_from(Config()))


def test_a_key_that_nothing_reads_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    path = ROOT / "incidents/N08.toml"
    fails_with(path, lambda: works_with_its_own_numbers(monkeypatch))
