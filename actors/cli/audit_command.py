"""`holdfast audit`: an account statement of a venue against our arithmetic."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from actors.cli.options import CHECK_FAILED, DONE, UNAVAILABLE, USAGE, CommandFailed, Json

if TYPE_CHECKING:
    from actors.statement_file import StatementFile
    from storage.statement import Difference, InstrumentFigures, StatementAudit

_SHOWN_MAX = 20


def audit(
    file: Annotated[
        Path, Parameter(help="The statement: CSV, or CSV in gzip, one row a fill, oldest first.")
    ],
    *,
    tolerance: Annotated[
        str, Parameter(help="How far a row's realized PnL may be off, quote units.")
    ] = "0.02",
    net: Annotated[
        bool, Parameter(help="The statement's realized_pnl has the row's fee subtracted.")
    ] = False,
    json: Json = False,
) -> int:
    """Fold an account statement with the ledger's arithmetic and compare realized PnL row by row.

    Exit code 0 when every row that could be compared agrees (gaps are shown and do not fail), 1
    with mismatches, 2 for a file that is no such statement, 4 for one that cannot be read.
    """
    from actors.statement_file import StatementFile, StatementFileError, StatementUnreadable
    from storage.statement import StatementAudit, TooManyInstruments

    source, found = StatementFile(file), StatementAudit(_tolerance(tolerance), net)
    try:
        for row in source.rows():
            found.add(row)
    except StatementFileError as problem:
        raise CommandFailed(str(problem), USAGE) from problem
    except TooManyInstruments as problem:
        message = f"{file}: line {row.line}: {problem}: no statement of one account"
        raise CommandFailed(message, USAGE) from problem
    except StatementUnreadable as problem:
        raise CommandFailed(str(problem), UNAVAILABLE) from problem
    if json:
        from actors.cli.output import print_json

        print_json(document(source, found))
    else:
        _print(source, found)
    return CHECK_FAILED if found.mismatches.total else DONE


def _tolerance(text: str) -> Decimal:
    from fsm.money import decimal_from

    try:
        value = decimal_from(text)
    except ValueError:
        value = Decimal(-1)
    if not 0 <= value <= 10**12:
        raise CommandFailed(f"--tolerance {text}: an amount such as 0.02, not below 0", USAGE)
    return value


def document(source: StatementFile, found: StatementAudit) -> dict[str, Any]:
    """Everything that was found, for scripts; decimals are strings."""
    from fsm.money import plain

    return {
        "file": str(source.path),
        "rows_checked": found.rows,
        "rows_compared": found.compared,
        "rows_unchecked": found.unchecked,
        "tolerance": plain(found.tolerance),
        "net": found.net,
        "instruments": {
            name: _figures(figures) for name, figures in sorted(found.instruments.items())
        },
        "gaps": [_difference(gap) for gap in found.gaps],
        "gaps_total": found.gaps.total,
        "mismatches": [_difference(mismatch) for mismatch in found.mismatches],
        "mismatches_total": found.mismatches.total,
        "out_of_order": {"count": source.out_of_order.total, "lines": source.out_of_order.lines},
        "repeated": {"count": source.repeated.total, "lines": source.repeated.lines},
        "columns_ignored": source.ignored,
        "verdict": _verdict(source, found),
        "notes": _notes(source, found),
    }


def _figures(figures: InstrumentFigures) -> dict[str, Any]:
    from fsm.money import plain

    holding = figures.holding
    return {
        "fills": figures.fills,
        "net_qty": plain(holding.qty),
        "avg_price": None if holding.basis is None else plain(holding.basis),
        "realized_pnl": plain(figures.realized_pnl),
        "fees": plain(figures.fees),
        "unchecked": figures.unchecked,
    }


def _difference(found: Difference) -> dict[str, Any]:
    from fsm.money import plain

    return {
        "line": found.line,
        "instrument": found.instrument,
        "expected": plain(found.expected),
        "actual": plain(found.actual),
    }


def _verdict(source: StatementFile, found: StatementAudit) -> str:
    from fsm.money import plain

    if not found.rows:
        return "no rows: nothing was checked"
    if not source.has_realized:
        return "folded; it states no realized_pnl, so nothing was compared"
    if found.mismatches.total:
        off = found.mismatches.total
        return f"{off:,} of {_rows(found.compared)} off by more than {plain(found.tolerance)}"
    if not found.compared:
        return "folded; no row could be compared"
    return f"agrees: {_rows(found.compared)} within {plain(found.tolerance)}"


def _rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


def _notes(source: StatementFile, found: StatementAudit) -> list[str]:
    """What a reader should know beside the figures, a line each."""
    notes: list[str] = []
    if found.fees_explain_it:
        notes.append(
            "every mismatch vanishes without the fees: audit it without --net"
            if found.net
            else "every mismatch vanishes when fees are subtracted: its realized_pnl is net; "
            "audit it with --net"
        )
    if found.gaps.total:
        gaps = found.gaps.total
        notes.append(
            f"{gaps:,} {'gap' if gaps == 1 else 'gaps'}: rows are missing before, and the average "
            "is unknown from there until the position is flat"
        )
    if found.unchecked:
        notes.append(f"{_rows(found.unchecked)} closed at an unknown average: not checked")
    if source.out_of_order.total:
        lines = ", ".join(map(str, source.out_of_order.lines[:5]))
        more = ", ..." if source.out_of_order.total > 5 else ""
        notes.append(
            f"{_rows(source.out_of_order.total)} older than an earlier one, folded where they "
            f"stand: line {lines}{more}"
        )
    if source.repeated.total:
        lines = ", ".join(map(str, source.repeated.lines[:5]))
        more = ", ..." if source.repeated.total > 5 else ""
        notes.append(f"{_rows(source.repeated.total)} repeated, counted once: line {lines}{more}")
    if found.negative_fees > found.positive_fees:
        notes.append("most fees are negative: here a cost is positive and a rebate negative")
    if source.ignored:
        notes.append(f"columns that were not used: {', '.join(source.ignored)}")
    return notes


# ----------------------------------------------------------------------------------------- people


def _print(source: StatementFile, found: StatementAudit) -> None:
    from actors.cli.output import print_table, visible

    rows = [
        {"instrument": visible(name), **_figures(figures)}
        for name, figures in sorted(found.instruments.items())
    ]
    columns = ("instrument", "fills", "net_qty", "avg_price", "realized_pnl", "fees", "unchecked")
    for row in rows:
        row["avg_price"] = _short(row["avg_price"])
    print_table(rows, columns, empty="No fills.")
    for title, listed in (("gap", found.gaps), ("mismatch", found.mismatches)):
        for each in listed.kept[:_SHOWN_MAX]:
            told = _difference(each)
            print(
                f"{title}: line {each.line}: {visible(each.instrument)}: expected "
                f"{told['expected']}, the file says {told['actual']}"
            )
        if listed.total > _SHOWN_MAX:
            print(f"{title}: and {listed.total - _SHOWN_MAX:,} more (--json lists them)")
    for line in _notes(source, found):
        print(f"note: {visible(line)}")
    print(f"{visible(str(source.path))}: {_verdict(source, found)}")


def _short(price: str | None) -> str | None:
    """An average as a person reads it; --json has every digit."""
    from fsm.money import plain

    if price is None or len(price) <= 14:
        return price
    return plain(Decimal(f"{Decimal(price):.12g}"))
