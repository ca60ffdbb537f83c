"""Ten real kills in CI; `python -m tests.kill --runs 100` is the long form."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kill.harness import Rig

pytestmark = pytest.mark.slow
_ROUNDS = 5


@pytest.mark.parametrize("seed", [7, 8], ids=["many short positions", "positions held long"])
def test_after_each_kill_the_books_equal_the_record_of_a_venue_that_outlived_the_engine(
    tmp_path: Path, seed: int
) -> None:
    rig = Rig(tmp_path, seed=seed)
    try:
        outcomes = [rig.kill_round(number) for number in range(_ROUNDS)]
    finally:
        rig.close()
    assert {} == {o.round: o.problems for o in outcomes if o.problems}
    assert outcomes[-1].fills >= _ROUNDS, "the engine traded between the kills"
