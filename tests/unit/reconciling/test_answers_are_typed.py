"""A failed query cannot be taken for an absence: the type checker refuses it (L3)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
HEAD = """
from decimal import Decimal
from typing import assert_never
from fsm.facts import (
    Absent, BalancesAnswer, Found, OpenOrdersAnswer, OrderAnswer, Unavailable, VenueOrder,
)
"""
#: What is written, and the error that it must be.
REFUSED = {
    "value of an answer that was not looked at": (
        "def f(a: OrderAnswer) -> VenueOrder:\n    return a.result.value\n",
        "union-attr",
    ),
    "Unavailable taken for Found": (
        "def f(a: OpenOrdersAnswer) -> tuple[VenueOrder, ...]:\n    return a.result.value\n",
        "union-attr",
    ),
    "an absence where only Found or Unavailable can be": (
        "a = BalancesAnswer(request_id='q', result=Absent('no'))\n",
        "arg-type",
    ),
    "Unavailable returned as an absence": (
        "def f() -> Absent:\n    return Unavailable('503')\n",
        "return-value",
    ),
    "a match that forgets Unavailable": (
        "def f(a: OrderAnswer) -> int:\n"
        "    match a.result:\n"
        "        case Found():\n            return 1\n"
        "        case Absent():\n            return 2\n"
        "        case _:\n            assert_never(a.result)\n",
        "arg-type",
    ),
    "an absence without its proof": ("a = Absent()\n", "call-arg"),
}
ACCEPTED = (
    "def f(a: OrderAnswer) -> Decimal:\n"
    "    match a.result:\n"
    "        case Found(order):\n            return order.filled_qty\n"
    "        case Absent() | Unavailable():\n            return Decimal(0)\n"
    "        case _:\n            assert_never(a.result)\n"
)


def test_the_type_checker_refuses_to_confuse_the_three_answers(tmp_path: Path) -> None:
    snippets = [code for code, _ in REFUSED.values()] + [ACCEPTED]
    files = [tmp_path / f"snippet_{number}.py" for number in range(len(snippets))]
    for file, code in zip(files, snippets, strict=True):
        file.write_text(HEAD + code)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--config-file",
            "pyproject.toml",
            "--no-pretty",
            "--cache-dir",
            str(ROOT / ".mypy_cache"),
            *map(str, files),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = done.stdout.splitlines()
    for (name, (_, code)), file in zip(REFUSED.items(), files, strict=False):
        hits = [line for line in lines if file.name in line and f"[{code}]" in line]
        assert hits, f"{name} is not refused: {done.stdout}{done.stderr}"
    assert not any(files[-1].name in line for line in lines), done.stdout
