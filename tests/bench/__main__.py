"""The command line of the measurements; `python -m tests.bench --help` says what there is."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from loguru import logger
from rich.console import Console

from tests.bench.measuring import Measured, measure
from tests.bench.profiling import profile_market_orders
from tests.bench.reporting import as_json, as_table
from tests.bench.workloads import WORKLOADS

_REPEAT, _REPEAT_QUICK = 5, 3
_WIDTH = 110  # where there is no terminal to ask


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the workloads, print their figures; figures to standard output, progress to error."""
    given = _parser().parse_args(arguments)
    progress = Console(stderr=True)
    if given.profile:
        print(profile_market_orders(quick=given.quick, folder=given.folder), end="")
        return 0
    repeat = given.repeat or (_REPEAT_QUICK if given.quick else _REPEAT)
    done: list[Measured] = []
    for name in given.workload or WORKLOADS:
        progress.print(f"measuring {name}, {repeat} times ...", highlight=False)
        done.append(measure(WORKLOADS[name], quick=given.quick, repeat=repeat, folder=given.folder))
    if given.json:
        print(as_json(done, quick=given.quick, repeat=repeat))
    else:
        people = Console() if sys.stdout.isatty() else Console(width=_WIDTH)
        people.print(as_table(done, quick=given.quick, repeat=repeat))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the size, fewer times")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--repeat", type=_count, help="repetitions of each workload")
    parser.add_argument(
        "--workload", action="append", choices=list(WORKLOADS), help="only this one (repeatable)"
    )
    parser.add_argument("--folder", type=Path, help="where the databases go: a real disk")
    parser.add_argument(
        "--profile", action="store_true", help="profile the loop thread of market_orders instead"
    )
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    sys.exit(main())
