"""The one thing that a run may fail for: durable orders a second beside the reference's.

A ratio within one run, never an absolute time: a slow or busy machine slows both sides.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from tests.bench.measuring import Measured

WORKLOAD, FIGURE = "market_orders", "orders_per_s"
LIMIT = 3.0
"""Times the reference, median of the pairs."""


@frozen(kw_only=True)
class Verdict:
    """How the gate was found, in one line."""

    passed: bool
    ratio: float
    text: str


def judge(done: Sequence[Measured], limit: float = LIMIT) -> Verdict | None:
    """The gate's verdict; None when durable orders were not measured beside the reference."""
    for item in done:
        ratio = item.ratios.get(FIGURE)
        if item.workload.name == WORKLOAD and ratio is not None:
            passed = ratio.median >= limit
            return Verdict(
                passed=passed,
                ratio=ratio.median,
                text=f"durable market orders a second are {ratio.median:.2f} x the reference"
                f" ({ratio.low:.2f} to {ratio.high:.2f} in {len(ratio.values)} pairs),"
                f" {'at or above' if passed else 'BELOW'} the gate of {limit:g}"
                + ("" if passed else "; see scripts/bench --profile market_orders"),
            )
    return None
