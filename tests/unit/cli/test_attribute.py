"""`fills --unresolved` and `control attribute` on a database that no service is running on."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
import trio
import trio.testing

from actors.chaos.reading import read_scenario
from actors.chaos.runner import run_scenario
from actors.cli.main import main
from actors.control_requests import BadRequest, command_of
from actors.service_control import ControlHandler
from tests.unit.engine.handmade import Bench, fill

_KEPT = """
name = "a fill of nobody"
[[instrument]]
name = "XRP/RLUSD"
base = "XRP"
quote = "RLUSD"
[balances]
RLUSD = "1000"
[[step]]
submit = { client_order_id = "E1", role = "entry", instrument = "XRP/RLUSD", side = "buy", qty = "10", type = "limit", limit_price = "1" }
[[step]]
venue = { event = "accepted", client_order_id = "E1", venue_order_id = "V-E1" }
[[step]]
venue = { event = "fill", venue_order_id = "V-x", trade_id = "T1", qty = "4", price = "1" }
[[step]]
expect = { "counters.unresolved_facts" = 1, "counters.unresolved_open" = 1, "rows.unresolved_facts" = 1 }
"""  # noqa: E501


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A database with one fact that nobody could place."""
    file = tmp_path / "kept.toml"
    file.write_text(_KEPT)
    assert run_scenario(read_scenario(file), keep=tmp_path / "db").passed
    return tmp_path / "db" / "kept.db"


def _open(database: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    capsys.readouterr()
    assert main(["fills", "--unresolved", "--json", "--db", str(database)]) == 0
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def test_a_person_finds_it_places_it_and_the_books_have_it_once(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (row,) = _open(kept, capsys)
    assert ("OrderFill", "no order V-x") == (row["fact"], row["reason"])
    assert main(["fills", "--unresolved", "--db", str(kept)]) == 0
    assert "holdfast control attribute SEQ" in capsys.readouterr().out

    said = ["control", "attribute", str(row["seq"]), "--order", "E1", "--why", "x", "--who", "ana"]
    assert main([*said, "--db", str(kept)]) == 0
    assert [] == _open(kept, capsys)
    assert main(["orders", "--all", "--json", "--db", str(kept)]) == 0
    assert ["4"] == [order["filled_qty"] for order in json.loads(capsys.readouterr().out)]
    assert main(["explain", "E1", "--db", str(kept)]) == 0
    assert f"the fact of seq {row['seq']}: order/E1 (ana: x)" in capsys.readouterr().out
    assert main(["explain", str(row["seq"]), "--db", str(kept)]) == 0
    assert "could not be placed, and changed nothing: no order V-x" in capsys.readouterr().out
    assert main([*said, "--db", str(kept)]) == 3
    assert "is resolved already" in capsys.readouterr().err
    assert main(["verify", "--db", str(kept)]) == 0
    assert main(["rebuild", "--db", str(kept)]) == 0
    assert [] == _open(kept, capsys)


def test_it_can_be_dismissed(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = _open(kept, capsys)
    said = ["control", "attribute", str(row["seq"]), "--dismiss", "--why", "not ours"]
    assert main([*said, "--db", str(kept)]) == 0
    assert [] == _open(kept, capsys)


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["attribute"], "which seq?"),
        (["attribute", "1"], "say why"),
        (["attribute", "1", "--why", "x"], "whose is it? --order ID, or --dismiss"),
        (["attribute", "1", "--order", "E1", "--dismiss", "--why", "x"], "whose is it?"),
        (["attribute", "x", "--order", "E1", "--why", "x"], "a seq is a number"),
        (["attribute", "1", "--order", "E1", "--why", "x"], "is no unresolved fact"),
        (["pause", "--order", "E1"], "belong to `attribute`"),
    ],
)
def test_what_is_missing_is_named(
    kept: Path, tokens: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["control", *tokens, "--db", str(kept)]) in (2, 3)
    assert words in capsys.readouterr().err
    assert 1 == len(_open(kept, capsys))


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({}, "needs 'seq'"),
        ({"seq": "7"}, "needs 'seq'"),
        ({"seq": True}, "needs 'seq'"),
        ({"seq": 0}, "needs 'seq'"),
        ({"seq": 7}, "name the order that the fact is of, or dismiss it"),
        ({"seq": 7, "order": "E1", "dismiss": True}, "or dismiss it"),
        ({"seq": 7, "order": "E1", "who": "ana"}, "needs 'why'"),
        ({"seq": 7, "dismiss": True, "why": "x", "who": " "}, "needs 'who'"),
    ],
)
def test_a_request_that_is_not_whole_never_becomes_a_command(
    request_: dict[str, object], words: str
) -> None:
    with pytest.raises(BadRequest, match=words):
        command_of({"command": "attribute"} | request_)


async def test_the_running_service_takes_it_over_its_socket(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.place()
    bench.say(fill("t9", "4", "nobody"))
    (kept,) = bench.engine.reader.events(types=("FactUnresolved",))
    handler = ControlHandler(bench.engine, stop=lambda reason: None)
    bench.engine.release.answer = handler.answered
    request = {"command": "attribute", "seq": kept.seq, "order": "a", "who": "ana", "why": "x"}
    answers: list[dict[str, object]] = []

    async def ask() -> None:
        answers.append(await handler.handle(request))

    for _ in range(2):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            bench.simulation.settle()
    assert [True, False] == [answer["ok"] for answer in answers]
    assert Decimal(4) == bench.order().filled_qty
