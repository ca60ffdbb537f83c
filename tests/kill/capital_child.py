"""Run by test_capital_kills.py: `holdfast` as its own process, killed just before or just after its
n-th commit, whichever file that goes to."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from actors.cli.main import main
from actors.venues.sim.truth import VenueTruth
from storage.projections import Projector
from storage.writer import JournalWriter

_count = 0


def _killing(real: Callable[..., Any], point: int) -> Callable[..., Any]:
    """The same, with death before it at an even point and after it at an odd one."""

    def commit(*given: Any, **named: Any) -> Any:
        global _count
        if 2 * _count == point:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*given, **named)
        if 2 * _count + 1 == point:
            os.kill(os.getpid(), signal.SIGKILL)
        _count += 1
        return result

    return commit


if __name__ == "__main__":
    at = int(sys.argv[1])
    for owner, name in (
        (VenueTruth, "commit"),
        (JournalWriter, "commit"),
        (Projector, "apply"),
        (JournalWriter, "keep_head"),
    ):
        setattr(owner, name, _killing(getattr(owner, name), at))
    sys.exit(main(sys.argv[2:]))
