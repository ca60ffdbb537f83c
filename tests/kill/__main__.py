"""`python -m tests.kill --runs 100`: kill, restart, compare; a line a round, then a summary."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.kill.harness import Rig


def main() -> int:
    """Exit 0 when every round found books and venue equal, else 1 (the directory is kept)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs-a-database", type=int, default=10)
    args = parser.parse_args()
    done = failed = orders = fills = 0
    seed = args.seed
    while done < args.runs:
        directory = Path(tempfile.mkdtemp(prefix="holdfast-kill-"))
        rig, bad = Rig(directory, seed), False
        try:
            for _ in range(min(args.runs_a_database, args.runs - done)):
                outcome = rig.kill_round(done)
                done += 1
                bad = bad or bool(outcome.problems)
                failed += bool(outcome.problems)
                verdict = "; ".join(outcome.problems[:3]) or "equal"
                print(
                    f"round {outcome.round:3d}: killed after {outcome.killed_after_s:5.3f} s, "
                    f"{outcome.orders} orders, {outcome.fills} fills, "
                    f"{outcome.open_positions} open positions: {verdict}",
                    flush=True,
                )
            orders, fills = orders + outcome.orders, fills + outcome.fills
        finally:
            rig.close()
        if bad:
            print(f"kept: {directory}", file=sys.stderr)
        else:
            shutil.rmtree(directory)
        seed += 1
    print(f"{done} kills, {failed} with differences; {orders} orders, {fills} fills compared")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
