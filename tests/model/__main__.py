"""`python -m tests.model --scope small`: explore, print figures; at a violation the way there."""

from __future__ import annotations

import argparse
import json
import sys

from attrs import asdict
from loguru import logger

from tests.model.explore import Explorer, Report
from tests.model.scopes import SETS


def main() -> int:
    """Exit 0 when nothing is violated, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--scope", choices=SETS, default="small")
    parser.add_argument("--only", help="the name of one scope")
    parser.add_argument("--seconds", type=float, help="at most so long for each scope")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    logger.disable("actors")
    reports = []
    for scope in SETS[args.scope]:
        if args.only in (None, scope.name):
            reports.append(Explorer(scope, seconds_max=args.seconds).run())
            if not args.json:
                _print(reports[-1])
    if args.json:
        print(json.dumps([asdict(report) for report in reports], indent=1))
    return 1 if any(report.violations for report in reports) else 0


def _print(report: Report) -> None:
    whole = "exhausted" if report.exhausted else "NOT exhausted"
    print(
        f"{report.scope}: {report.states} states, {report.transitions} transitions, depth "
        f"{report.depth}, {report.healings} healings, {whole}, {report.took_s} s",
        flush=True,
    )
    for text in report.violations:
        print(f"  VIOLATION {text}")
    for number, step in enumerate(report.path, 1):
        print(f"  {number:2d}. {step}")


if __name__ == "__main__":
    sys.exit(main())
