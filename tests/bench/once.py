"""One repetition of one workload in this process: `python -m tests.bench.once NAME SIZE FOLDER`.

Prints the figures as one JSON line. `tests.bench` starts it; nobody else needs to.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from loguru import logger

from tests.bench.workloads import WORKLOADS


def said(problem: BaseException) -> str:
    """The first real exception of a group, in one line."""
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    lines = str(problem).splitlines()
    return f"{type(problem).__name__}: {lines[0] if lines else 'no message'}"


if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    name, size, folder = sys.argv[1:]
    try:
        figures = WORKLOADS[name].run(Path(folder), int(size))
    except Exception as problem:
        raise SystemExit(said(problem)) from problem
    print(json.dumps(figures))
