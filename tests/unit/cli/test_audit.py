"""`holdfast audit`: figures, exit codes, and one line for each way a file can be no statement."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from fsm.events import PositionChanged
from fsm.money import plain
from fsm.pnl import Holding, apply_fill
from storage.journal import JournalReader
from tests.engines import run_synthetic, simulated_engine
from tests.unit.cli.conftest import Hold

HEADER = "timestamp,instrument,side,qty,price,fee,start_position,realized_pnl"
AT = 1_700_000_000
GOOD = (
    f"{AT},BTC,buy,1,100,0.1,0,0",
    f"{AT + 1},BTC,sell,2,110,0.1,1,10",
    f"{AT + 2},BTC,buy,0.5,100,-0.05,-1,5",
)


def written(folder: Path, *rows: str, header: str = HEADER, name: str = "s.csv") -> Path:
    path = folder / name
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


def test_the_document_has_every_figure_as_a_decimal_string(hold: Hold, tmp_path: Path) -> None:
    done = hold("audit", written(tmp_path, *GOOD), "--json")
    assert 0 == done.code
    assert {
        "BTC": {
            "fills": 3,
            "net_qty": "-0.5",
            "avg_price": "110",
            "realized_pnl": "15",
            "fees": "0.15",
            "unchecked": 0,
        }
    } == done.document["instruments"]
    assert (3, [], []) == tuple(
        done.document[name] for name in ("rows_checked", "gaps", "mismatches")
    )
    assert "agrees: 3 rows within 0.02" == done.document["verdict"]


def test_a_mismatch_fails_and_names_its_line(hold: Hold, tmp_path: Path) -> None:
    path = written(tmp_path, GOOD[0], f"{AT + 1},BTC,sell,2,110,0.1,1,10.5", GOOD[2])
    done = hold("audit", path, "--json")
    assert 1 == done.code
    assert [{"line": 3, "instrument": "BTC", "expected": "10", "actual": "10.5"}] == done.document[
        "mismatches"
    ]
    assert 0 == hold("audit", path, "--tolerance", "0.5").code
    people = hold("audit", path)
    assert 1 == people.code
    assert "mismatch: line 3: BTC: expected 10, the file says 10.5" in people.out.splitlines()
    assert f"{path}: 1 of 3 rows off by more than 0.02" == people.out.splitlines()[-1]


def test_gaps_are_shown_and_do_not_fail(hold: Hold, tmp_path: Path) -> None:
    path = written(tmp_path, f"{AT},BTC,sell,1,100,0.1,3,7", f"{AT + 1},BTC,sell,1,100,0.1,1,7")
    done = hold("audit", path, "--json")
    assert 0 == done.code
    assert [
        {"line": 2, "instrument": "BTC", "expected": "0", "actual": "3"},
        {"line": 3, "instrument": "BTC", "expected": "2", "actual": "1"},
    ] == done.document["gaps"]
    assert (2, None) == (
        done.document["rows_unchecked"],
        done.document["instruments"]["BTC"]["avg_price"],
    )
    assert "folded; no row could be compared" == done.document["verdict"]


def test_headers_are_free_in_order_case_blanks_and_known_names(hold: Hold, tmp_path: Path) -> None:
    path = written(
        tmp_path,
        f'"x, y",{AT},B,BTC,1.0,1e2,0.0,0.10,0',
        f",{AT + 1},A,BTC,1,110,1,0.1,10",
        header="Note,TIME,Side,coin,sz,px,startPosition,Fee,closedPnl",
    )
    done = hold("audit", path, "--json")
    assert (0, 2, ["note"]) == (
        done.code,
        done.document["rows_compared"],
        done.document["columns_ignored"],
    )
    assert "10" == done.document["instruments"]["BTC"]["realized_pnl"]
    assert [] == done.document["gaps"]


def test_the_optional_columns_may_be_missing_or_empty(hold: Hold, tmp_path: Path) -> None:
    short = [",".join(each.split(",")[:6]) for each in GOOD]
    path = written(tmp_path, *short, header="timestamp,instrument,side,qty,price,fee")
    done = hold("audit", path, "--json")
    assert (0, 3, 0) == (
        done.code, done.document["rows_checked"], done.document["rows_compared"],
    )  # fmt: skip
    assert "nothing was compared" in done.document["verdict"]
    empty = hold("audit", written(tmp_path, *(f"{each},," for each in short)), "--json")
    assert (0, 0, []) == (empty.code, empty.document["rows_compared"], empty.document["gaps"])


def test_gzip_a_byte_order_mark_and_blank_lines_are_read(hold: Hold, tmp_path: Path) -> None:
    text = "\ufeff" + "\r\n\r\n".join((HEADER, GOOD[0], GOOD[1].replace(",10", ",99"))) + "\r\n"
    path = tmp_path / "s.csv.gz"
    path.write_bytes(gzip.compress(text.encode("utf-8")))
    done = hold("audit", path, "--json")
    assert (1, [5]) == (done.code, [each["line"] for each in done.document["mismatches"]])


def test_rows_out_of_order_are_counted_and_folded_where_they_stand(
    hold: Hold, tmp_path: Path
) -> None:
    path = written(
        tmp_path,
        f"{AT},BTC,buy,1,100,0,0,0",
        f"{AT + 9},BTC,buy,1,100,0,1,0",
        f"{AT + 5},BTC,sell,1,110,0,2,10",
        f"{AT + 9},BTC,sell,1,110,0,1,10",
    )
    done = hold("audit", path, "--json")
    assert (0, {"count": 1, "lines": [4]}) == (done.code, done.document["out_of_order"])
    assert [] == done.document["gaps"]
    assert any("line 4" in note for note in done.document["notes"])


def test_a_file_with_the_newest_row_first_is_refused(hold: Hold, tmp_path: Path) -> None:
    done = hold("audit", written(tmp_path, *reversed(GOOD)))
    assert 2 == done.code
    assert "the newest row comes first: reverse the rows below the header" in done.error


def test_a_repeated_trade_counts_once(hold: Hold, tmp_path: Path) -> None:
    rows = [f"{each},T{number}" for number, each in enumerate(GOOD)]
    rows.insert(2, rows[1])
    path = written(tmp_path, *rows, header=f"{HEADER},trade_id")
    done = hold("audit", path, "--json")
    assert (0, {"count": 1, "lines": [4]}) == (done.code, done.document["repeated"])
    assert (3, []) == (done.document["rows_checked"], done.document["gaps"])
    assert any("line 4" in note for note in done.document["notes"])


def test_the_same_trade_id_on_another_fill_is_another_fill(hold: Hold, tmp_path: Path) -> None:
    path = written(tmp_path, *(f"{each},T" for each in GOOD), header=f"{HEADER},trade_id")
    done = hold("audit", path, "--json")
    assert (3, 0) == (done.document["rows_checked"], done.document["repeated"]["count"])


def test_figures_net_of_fees_are_said_to_be_that(hold: Hold, tmp_path: Path) -> None:
    path = written(tmp_path, f"{AT},BTC,buy,1,100,0.5,0,0", f"{AT + 1},BTC,sell,1,110,0.5,1,9.5")
    done = hold("audit", path, "--json")
    assert 1 == done.code
    assert any("audit it with --net" in note for note in done.document["notes"])
    net = hold("audit", path, "--net", "--json")
    assert (0, []) == (net.code, net.document["notes"])


def test_noise_of_binary_floats_is_read(hold: Hold, tmp_path: Path) -> None:
    path = written(
        tmp_path, f"{AT},BTC,buy,1,100,0E-30,0.0,-0.0", f"{AT},BTC,sell,1,101,1e-30,1,1.0000000001"
    )
    assert 0 == hold("audit", path).code


def test_a_session_of_ours_is_a_statement_that_agrees(hold: Hold, tmp_path: Path) -> None:
    """What the journal booked, row by row, folded anew from the fills alone."""
    running = simulated_engine(tmp_path)
    run_synthetic(running, 120)
    reader = JournalReader.open(running.database)
    rows = []
    for recorded in reader.events(types=("PositionChanged",)):
        event = recorded.event
        assert isinstance(event, PositionChanged)
        side = "buy" if event.qty_delta > 0 else "sell"
        figures = (
            abs(event.qty_delta), event.price, event.fee_quote, event.qty - event.qty_delta,
            event.realized_delta,
        )  # fmt: skip
        rows.append(f"{recorded.at_us},{event.instrument},{side},{','.join(map(str, figures))}")
    reader.close()
    running.end()
    assert len(rows) > 10
    done = hold("audit", written(tmp_path, *rows), "--tolerance", "0", "--json")
    assert (0, len(rows), 0) == (
        done.code, done.document["rows_compared"], done.document["gaps_total"],
    )  # fmt: skip


def test_negative_costs_are_noticed(hold: Hold, tmp_path: Path) -> None:
    done = hold("audit", written(tmp_path, f"{AT},BTC,buy,1,100,-0.5,0,0"), "--json")
    assert any("fees are negative" in note for note in done.document["notes"])


BAD = {
    "no column": ("timestamp,instrument,side,qty,price", "", "line 1 has no column fee"),
    "semicolons": (HEADER.replace(",", ";"), "", "separate columns by commas"),
    "twice": (f"{HEADER},Fee", "", "line 1 has fee more than once (fee, fee): keep one"),
    "two names": (
        HEADER.replace("qty", "size,quantity"), "",
        "line 1 has qty more than once (size, quantity): keep one",
    ),
    "more fields": (HEADER, GOOD[0] + ",x", "line 2: 9 fields where the header has 8"),
    "timestamp": (HEADER, "soon,BTC,buy,1,100,0,0,0", "line 2: column timestamp: timestamp 'soon'"),
    "instrument": (HEADER, f"{AT},,buy,1,100,0,0,0", "line 2: column instrument: is empty"),
    "side": (HEADER, f"{AT},BTC,hold,1,100,0,0,0", "column side: 'hold' is none of buy, b, bid"),
    "long": (HEADER, f"{AT},BTC,Long,1,100,0,0,0", "'Long' names a position, not what was done"),
    "negative": (HEADER, f"{AT},BTC,sell,-1,100,0,0,0", "qty: '-1' is not above 0: the side"),
    "thousands": (
        HEADER, f'{AT},BTC,buy,"1,234.5",100,0,0,0',
        "column qty: '1,234.5' is not a number (no thousands",
    ),
    "empty": (HEADER, f"{AT},BTC,buy,1,,0,0,0", "column price: is empty"),
    "nan": (HEADER, f"{AT},BTC,buy,1,NaN,0,0,0", "column price: 'NaN' is not a finite number"),
    "below 0": (HEADER, f"{AT},BTC,buy,1,-3,0,0,0", "column price: '-3' is below 0"),
    "underscore": (HEADER, f"{AT},BTC,buy,1_0,3,0,0,0", "column qty: '1_0' is not a number"),
    "huge": (HEADER, f"{AT},BTC,buy,1,1e999999,0,0,0", "column price: '1e999999' has more digits"),
    "fee": (HEADER, f"{AT},BTC,buy,1,1,5 USDT,0,0", "column fee: '5 USDT' is not a number"),
    "start": (HEADER, f"{AT},BTC,buy,1,1,5,x,0", "column start_position: 'x' is not a number"),
    "realized": (HEADER, f"{AT},BTC,buy,1,1,5,0,--", "column realized_pnl: '--' is not a number"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_statement_is_one_line_with_line_and_column(
    name: str, hold: Hold, tmp_path: Path
) -> None:
    header, row, message = BAD[name]
    path = written(tmp_path, row, header=header)
    done = hold("audit", path, "--json")
    assert 2 == done.code
    assert done.error.startswith(f"holdfast: {path}: line "), done.error
    assert message in done.error


def test_a_file_without_content_is_no_statement_and_one_without_rows_says_so(
    hold: Hold, tmp_path: Path
) -> None:
    (tmp_path / "empty.csv").touch()
    assert 2 == hold("audit", tmp_path / "empty.csv").code
    done = hold("audit", written(tmp_path))
    assert (0, "No fills.") == (done.code, done.out.splitlines()[0])
    assert done.out.splitlines()[-1].endswith("no rows: nothing was checked")


def test_what_cannot_be_read_is_unavailable(hold: Hold, tmp_path: Path) -> None:
    missing = hold("audit", tmp_path / "none.csv")
    assert (4, f"holdfast: {tmp_path}/none.csv: no such file: check the path") == (
        missing.code, missing.error,
    )  # fmt: skip
    assert 4 == hold("audit", tmp_path).code
    whole = gzip.compress("\n".join((HEADER, *GOOD * 500)).encode())
    (tmp_path / "cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    cut = hold("audit", tmp_path / "cut.csv.gz", "--json")
    assert 4 == cut.code
    assert "the compressed file ends in the middle of line" in cut.error


@pytest.mark.parametrize("tolerance", ["-1", "nan", "much", "1e13"])
def test_a_tolerance_is_an_amount(tolerance: str, hold: Hold, tmp_path: Path) -> None:
    done = hold("audit", written(tmp_path, *GOOD), f"--tolerance={tolerance}")
    assert 2 == done.code
    assert f"--tolerance {tolerance}: an amount such as 0.02, not below 0" in done.error


def test_what_a_file_holds_does_not_steer_the_terminal(hold: Hold, tmp_path: Path) -> None:
    path = written(tmp_path, f"{AT},\x1b[31mBTC,buy,1,100,0,5,9")
    assert "\x1b" not in hold("audit", path).out


def test_one_wrong_figure_in_a_long_file_is_named_and_nothing_else(
    hold: Hold, tmp_path: Path
) -> None:
    chance, held, rows = Random(5), Holding(), []
    for number in range(500):
        side = chance.choice(("buy", "sell"))
        qty, price = Decimal(chance.randrange(1, 900)) / 1000, Decimal(chance.randrange(10, 99))
        step = apply_fill(held, qty if side == "buy" else -qty, price)
        realized = plain(step.realized.quantize(Decimal("0.000001")))
        rows.append(f"{AT + number},BTC,{side},{qty},{price},0.01,{plain(held.qty)},{realized}")
        held = step.holding
    assert 0 == hold("audit", written(tmp_path, *rows)).code
    first, _, realized = rows[321].rpartition(",")
    rows[321] = f"{first},{Decimal(realized) + Decimal('0.03')}"
    done = hold("audit", written(tmp_path, *rows), "--json")
    assert (1, [323]) == (done.code, [each["line"] for each in done.document["mismatches"]])
