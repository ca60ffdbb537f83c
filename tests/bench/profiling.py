"""Where the loop thread of `market_orders` spends its time: cProfile, cumulative and own time.

The profiler sees one thread only, the one that turns; it slows Python code more than it slows
SQLite or the disk, so read shares, not seconds.
"""

from __future__ import annotations

import cProfile
import io
import pstats
import tempfile
from pathlib import Path

from tests.bench.workloads import market_orders

_LINES = 15


def profile_market_orders(*, quick: bool, folder: Path | None = None) -> str:
    """The first lines of the profile, by cumulative and by own time."""
    workload = market_orders.WORKLOAD
    profiler, text = cProfile.Profile(), io.StringIO()
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-", dir=folder) as place:
        profiler.enable()
        workload.run(Path(place), workload.quick_size if quick else workload.size)
        profiler.disable()
    stats = pstats.Stats(profiler, stream=text).strip_dirs()
    for order in ("cumulative", "tottime"):
        stats.sort_stats(order).print_stats(_LINES)
    return text.getvalue()
