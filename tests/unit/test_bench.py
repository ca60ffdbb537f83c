"""The measurements run; how fast they are is no test's business."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from tests.bench.__main__ import main
from tests.bench.measuring import spread_of
from tests.bench.workloads import WORKLOADS


@pytest.fixture(autouse=True)
def _switch_interval() -> Iterator[None]:
    """A durable workload shortens the switch interval, as the service does."""
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


def test_two_quick_workloads_report_their_figures_as_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = ["idle_order_bytes", "market_orders"]
    chosen = [part for name in names for part in ("--workload", name)]
    assert main(["--quick", "--json", "--repeat", "1", *chosen]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["workloads"]) == names
    for name in names:
        reported = document["workloads"][name]
        assert reported["size"] == WORKLOADS[name].quick_size
        for headline in WORKLOADS[name].headline:
            assert reported["figures"][headline]["median"] > 0
    assert document["workloads"]["market_orders"]["figures"]["events_per_order"]["median"] >= 6


def test_every_workload_is_named_after_its_key_and_is_smaller_when_quick() -> None:
    for name, workload in WORKLOADS.items():
        assert name == workload.name
        assert 0 < workload.quick_size < workload.size
        assert workload.headline


def test_a_spread_is_high_minus_low_over_the_median() -> None:
    spread = spread_of([90.0, 100.0, 120.0])
    assert (100.0, 90.0, 120.0) == (spread.median, spread.low, spread.high)
    assert spread.spread_pct == pytest.approx(30.0)
