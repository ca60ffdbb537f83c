"""Where a workload spends its time: cProfile in every thread, and in the writer's process.

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

from storage import process_journal
from tests.bench.measuring import Workload

_LINES = 15


def profiled(workload: Workload, *, quick: bool, folder: Path | None = None) -> str:
    """The first lines of each thread's profile, by own and by cumulative time."""
    size = workload.quick_size if quick else workload.size
    with (
        tempfile.TemporaryDirectory(prefix="holdfast-bench-", dir=folder) as place,
        tempfile.TemporaryDirectory(prefix="holdfast-bench-") as kept,
        _every_thread() as profiles,
        _writer_into(Path(kept) / "writer"),
    ):
        workload.run(Path(place), size)
        shown = [_lines(f"thread {name}", profile) for name, profile in profiles.items()]
        if (Path(kept) / "writer").exists():
            shown.append(_lines("writer process", str(Path(kept) / "writer")))
    return "".join(shown)


@contextlib.contextmanager
def _writer_into(path: Path) -> Iterator[None]:
    """The writer process runs under a profiler that keeps what it found in a file."""
    run = process_journal._RUN
    process_journal._RUN = ("-P", "-m", "cProfile", "-o", str(path), *run[1:])
    try:
        yield
    finally:
        process_journal._RUN = run


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


def _lines(of: str, profile: cProfile.Profile | str) -> str:
    text = io.StringIO()
    text.write(f"==== {of}\n")
    stats = pstats.Stats(profile, stream=text).strip_dirs()
    for order in ("tottime", "cumulative"):
        stats.sort_stats(order).print_stats(_LINES)
    return text.getvalue()
