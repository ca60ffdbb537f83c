"""Where a workload's threads spend their time: cProfile in the loop's thread and in all others.

The profiler slows Python code more than it slows SQLite or the disk: read shares, not seconds.
"""

from __future__ import annotations

import contextlib
import cProfile
import io
import pstats
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.measuring import Workload

_LINES = 15


def profiled(workload: Workload, *, quick: bool, folder: Path | None = None) -> str:
    """The first lines of each thread's profile, by own and by cumulative time."""
    size = workload.quick_size if quick else workload.size
    with (
        tempfile.TemporaryDirectory(prefix="holdfast-bench-", dir=folder) as place,
        _every_thread() as profiles,
    ):
        workload.run(Path(place), size)
    return "".join(_lines(name, profile) for name, profile in profiles.items())


@contextlib.contextmanager
def _every_thread() -> Iterator[dict[str, cProfile.Profile]]:
    """Profiles by thread name, filled while the context lasts; this thread is `loop`."""
    profiles = {"loop": cProfile.Profile()}

    def begin(frame: Any, event: str, argument: Any) -> None:
        # The first event of a new thread: from here on its own profiler takes this one's place.
        profile = cProfile.Profile()
        with contextlib.suppress(ValueError):  # since Python 3.12 one profiler sees all threads
            profile.enable()
            profiles[threading.current_thread().name] = profile

    threading.setprofile(begin)
    profiles["loop"].enable()
    try:
        yield profiles
    finally:
        profiles["loop"].disable()
        threading.setprofile(None)


def _lines(thread: str, profile: cProfile.Profile) -> str:
    text = io.StringIO()
    text.write(f"==== thread {thread}\n")
    stats = pstats.Stats(profile, stream=text).strip_dirs()
    for order in ("tottime", "cumulative"):
        stats.sort_stats(order).print_stats(_LINES)
    return text.getvalue()
