"""`holdfast data check`: what a market data file holds, before anyone trades on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from actors.cli.options import CHECK_FAILED, DONE, UNAVAILABLE, USAGE, CommandFailed, Json, duration

if TYPE_CHECKING:
    from actors.feeds.check import DataCheck, Judgement
    from actors.feeds.windows import WindowsFile

data_app = App(name="data", help="Market data files: look at them before trading on them.")

_TOP = 5
_LISTED_MAX = 10
_JSON_LISTED_MAX = 100


@data_app.command
def check(
    file: Annotated[Path, Parameter(help="The market data file, or a prediction windows file.")],
    *,
    format_: Annotated[
        str | None,
        Parameter(name="--format", help="The file's format. Without it: recognised by content."),
    ] = None,
    strict: Annotated[bool, Parameter(help="Stop at the first problem.")] = False,
    gap: Annotated[str, Parameter(help="A silence as long as this is a gap.")] = "5s",
    symbol: Annotated[
        str | None, Parameter(help="What the rows are of, where they do not name it.")
    ] = None,
    windows: Annotated[
        Path | None,
        Parameter(help="Prediction windows (JSONL) whose price feed FILE is."),
    ] = None,
    json: Json = False,
) -> int:
    """Read a whole file as a replay would, and say whether one may trade on it.

    Exit code 0 when one may (the reasons to take care are printed), 1 when the file is damaged or,
    with --strict, not clean; 2 for a file of no known format, 4 for one that cannot be read.
    """
    from actors.cli.reading_progress import ReadingProgress
    from actors.feeds.check import Verdict, check_file, judge
    from actors.feeds.errors import MarketFileError, NotClean
    from actors.feeds.recognition import WINDOWS, recognise
    from actors.feeds.recording import is_recording
    from actors.feeds.windows import read_windows

    gap_us = round(duration("--gap", gap) * 1_000_000)
    if gap_us < 1:
        raise CommandFailed(f"--gap {gap}: a time such as 5s or 200ms, at least 1 us", USAGE)
    try:
        if not is_recording(file) and recognise(file, format_).format == WINDOWS:
            if windows is not None:
                raise CommandFailed(
                    f"{file}: the windows themselves: name their price feed first, then "
                    f"--windows {file}",
                    USAGE,
                )
            return _print_windows(read_windows(file, strict=strict), json=json)
        beside = None if windows is None else read_windows(windows, strict=strict)
        with ReadingProgress(file.name, quiet=json) as progress:
            checked = check_file(
                file,
                format=format_,
                strict=strict,
                gap_us=gap_us,
                symbol=symbol,
                windows=beside,
                on_progress=progress.update,
            )
    except NotClean as problem:
        raise CommandFailed(str(problem), CHECK_FAILED) from problem
    except MarketFileError as problem:
        missing = not all(path.exists() for path in (file, windows) if path is not None)
        raise CommandFailed(str(problem), UNAVAILABLE if missing else USAGE) from problem
    judged = judge(checked)
    if json:
        from actors.cli.output import print_json

        print_json(document(checked, judged))
    else:
        _print(checked, judged)
    return CHECK_FAILED if judged.verdict is Verdict.DAMAGED else DONE


# ------------------------------------------------------------------------------------------- JSON


def document(check: DataCheck, judged: Judgement) -> dict[str, Any]:
    """Everything that was found, for scripts."""
    report = check.report
    outages = check.outages()
    longest = report.longest_gap
    offset = report.clock_offset_us
    return {
        "file": str(check.path),
        "format": report.format,
        "symbol": report.symbol_from,
        "verdict": str(judged.verdict),
        "reasons": list(judged.reasons),
        "rows": report.rows,
        "quotes": report.quotes,
        "trades": report.trades,
        "other": report.other,
        "first": _iso(report.first_us),
        "last": _iso(report.last_us),
        "instruments": {
            "count": len(check.instruments),
            "top": [{"name": name, "rows": rows} for name, rows in check.top(_TOP)],
        },
        "empty_sides": {"bid": check.no_bid, "ask": check.no_ask, "both": check.no_side},
        "crossed": check.crossed,
        "gaps": {
            "least_s": check.gap_us / 1e6,
            "count": report.gaps,
            "usual_s": check.own.usual_s(),
            "beyond_usual": check.beyond_rhythm(),
            "longest": None
            if longest is None
            else {"instrument": longest.instrument, **_stretch(longest.from_us, longest.to_us)},
        },
        "outages": {
            "least_s": check.outage_us / 1e6,
            "count": len(outages),
            "usual_s": check.whole.usual_s(),
            "longest": [_stretch(s.from_us, s.to_us) for s in outages[:_JSON_LISTED_MAX]],
        },
        "thinnings": {
            "usual_instruments": check.presence.usual(),
            "list": [
                {**_stretch(t.from_us, t.to_us), "instruments": t.heard_most}
                for t in check.presence.thinnings()[:_JSON_LISTED_MAX]
            ],
        },
        "duplicates": report.duplicates,
        "out_of_order": report.out_of_order,
        "late": report.late,
        "reordered": report.reordered,
        "bad_rows": report.bad_rows,
        "truncated": report.truncated_message,
        "clock_offset_ms": None if offset is None else offset / 1e3,
        "problems_total": report.problems_total,
        "problems": [{report.place: n, "message": text} for n, text in report.problems],
        "windows": None if check.windows is None else _windows_document(check.windows, check),
    }


def _windows_document(windows: WindowsFile, check: DataCheck | None) -> dict[str, Any]:
    from actors.feeds.windows import outcome_counts

    found: dict[str, Any] = {
        "file": str(windows.path),
        "count": len(windows.windows),
        "first": _iso(windows.windows[0].start_us),
        "last": _iso(max(window.end_us for window in windows.windows)),
        "outcomes": outcome_counts(windows.windows),
        "without_strike": sum(1 for window in windows.windows if window.strike is None),
        "gaps": [_stretch(*gap) for gap in windows.gaps()[:_JSON_LISTED_MAX]],
        "bad_rows": windows.bad_rows,
        "duplicates": windows.duplicates,
        "out_of_order": windows.out_of_order,
        "problems_total": windows.problems_total,
        "problems": [{"line": n, "message": text} for n, text in windows.problems],
        "coverage": None,
    }
    if check is not None:
        found["coverage"] = [
            {
                "window": coverage.window.name,
                "prices": coverage.prices,
                "prices_per_s": round(coverage.share, 4),
                "longest_silence_s": coverage.longest_silence_us / 1e6,
                "official": coverage.window.outcome,
                "recomputed": coverage.settled,
            }
            for coverage in check.coverage
        ]
    return found


def _stretch(from_us: int, to_us: int) -> dict[str, Any]:
    return {"from": _iso(from_us), "to": _iso(to_us), "seconds": (to_us - from_us) / 1e6}


def _iso(us: int | None) -> str | None:
    from fsm.timestamps import iso_utc

    return None if us is None else iso_utc(us)


# ----------------------------------------------------------------------------------------- people


def _print(check: DataCheck, judged: Judgement) -> None:
    from actors.cli.output import print_fields

    report = check.report
    print_fields(f"{check.path}: {_verdict_line(judged)}", _fields(check))
    for number, message in report.problems[:_LISTED_MAX]:
        print(f"  {report.place} {number}: {message}")
    if report.problems_total > _LISTED_MAX:
        print(f"  and {report.problems_total - _LISTED_MAX:,} more (--json lists 100)")
    if check.windows is not None:
        print_fields(f"{check.windows.path}", _window_fields(check.windows, check))
        _print_window_problems(check.windows)


def _verdict_line(judged: Judgement) -> str:
    opening = {
        "good": "good to trade on",
        "usable": "usable",
        "damaged": "damaged, do not trade on it",
    }[judged.verdict]
    return f"{opening}: {'; '.join(judged.reasons)}" if judged.reasons else opening


def _fields(check: DataCheck) -> list[tuple[str, object]]:
    from actors.feeds.check import counted

    report = check.report
    names = ", ".join(f"{name} {rows:,}" for name, rows in check.top(_TOP))
    more = len(check.instruments) - _TOP
    offset = report.clock_offset_us
    fields: list[tuple[str, object]] = [
        ("format", report.format),
        ("symbol", report.symbol_from),
        ("span", _span(report.first_us, report.last_us)),
        ("rows", _rows(check)),
        ("instruments", f"{len(check.instruments):,}: {names}{', ...' if more > 0 else ''}"),
        ("empty sides", _empty(check)),
        ("crossed", f"{counted(check.crossed, 'quote')} with a bid above the ask"),
        ("gaps", _gaps(check)),
        ("outages", _outages(check)),
        ("thin", _thin(check)),
        ("duplicates", f"{report.duplicates:,}"),
        ("order", _order(check)),
        ("bad rows", f"{report.bad_rows:,}"),
        ("cut off", report.truncated_message),
        ("clock", None if offset is None else _clock(offset)),
    ]
    return [(name, value) for name, value in fields if value is not None]


def _clock(offset_us: int) -> str:
    side = "before" if offset_us <= 0 else "after"
    behind = ": the receiving clock ran behind" if offset_us > 0 else ""
    length = f"{abs(offset_us) / 1e3:,.1f} ms"
    return f"event times are {length} {side} the times of receipt (median){behind}"


def _rows(check: DataCheck) -> str:
    report = check.report
    other = ", ".join(f"{count:,} {kind}" for kind, count in sorted(report.other.items()))
    text = f"{report.rows:,}: {report.quotes:,} quotes, {report.trades:,} trades"
    return f"{text}, {other}" if other else text


def _empty(check: DataCheck) -> str | None:
    quotes = check.report.quotes
    if not quotes:
        return None
    if not check.no_bid + check.no_ask:
        return "none"
    return (
        f"{check.no_bid:,} bids ({check.no_bid / quotes:.1%}), {check.no_ask:,} asks "
        f"({check.no_ask / quotes:.1%}), both {check.no_side:,}"
    )


def _gaps(check: DataCheck) -> str:
    from actors.feeds.check import counted

    gaps, longest = check.report.gaps, check.report.longest_gap
    least = f"{check.gap_us / 1e6:g} s"
    if longest is None:
        return f"no instrument silent for {least}"
    length = (longest.to_us - longest.from_us) / 1e6
    text = (
        f"{counted(gaps, 'silence')} of one instrument, {least} or more; the longest "
        f"{length:,.0f} s ({longest.instrument}, from {_time(longest.from_us)})"
    )
    usual = check.own.usual_s()
    if usual * 1_000_000 >= check.gap_us:
        text += (
            f"; but an instrument speaks every {usual:,} s: {check.beyond_rhythm():,} are twice as "
            f"long as that (--gap {2 * usual}s counts only those)"
        )
    return text


def _outages(check: DataCheck) -> str:
    from actors.feeds.check import counted

    outages, usual = check.outages(), check.whole.usual_s()
    rhythm = f" (it speaks every {usual:,} s)" if usual else ""
    if not outages:
        return f"none: never silent for {check.outage_us / 1e6:,.0f} s{rhythm}"
    shown = ", ".join(
        f"{_time(s.from_us)} to {_time(s.to_us)} ({s.length_us / 1e6:,.0f} s)" for s in outages[:3]
    )
    more = f", and {len(outages) - 3:,} more" if len(outages) > 3 else ""
    return f"{counted(len(outages), 'silence')} without any row: {shown}{more}{rhythm}"


def _thin(check: DataCheck) -> str | None:
    thin, usual = check.presence.thinnings(), check.presence.usual()
    if not thin:
        return None
    shown = ", ".join(
        f"{_time(t.from_us)} to {_time(t.to_us)} "
        f"(at most {t.heard_most:,} of {usual:,} instruments in five minutes)"
        for t in thin[:3]
    )
    more = f", and {len(thin) - 3:,} more" if len(thin) > 3 else ""
    return f"most instruments fell silent: {shown}{more}"


def _order(check: DataCheck) -> str:
    report = check.report
    if not report.out_of_order:
        crossed = f"; {report.reordered:,} rows of crossing streams sorted"
        return f"in order{crossed if report.reordered else ''}"
    return f"{report.out_of_order:,} rows out of order, {report.late:,} of them too late to sort"


def _time(us: int) -> str:
    return (_iso(us) or "").replace("T", " ").partition(".")[0]


def _span(first_us: int | None, last_us: int | None) -> str | None:
    if first_us is None or last_us is None:
        return None
    seconds = (last_us - first_us) // 1_000_000
    hours = f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{_iso(first_us)} to {_iso(last_us)} ({hours})"


def _print_windows(windows: WindowsFile, *, json: bool) -> int:
    """A windows file by itself: it holds no prices, so coverage stays open."""
    if json:
        from actors.cli.output import print_json

        found = _windows_document(windows, None)
        verdict = "good" if windows.is_clean else "damaged"
        print_json({"format": "windows", "verdict": verdict, **found})
    else:
        from actors.cli.output import print_fields

        clean = "every line is a window" if windows.is_clean else "damaged"
        title = f"{windows.path}: prediction windows, {clean}"
        print_fields(title, _window_fields(windows, None))
        _print_window_problems(windows)
    return DONE if windows.is_clean else CHECK_FAILED


def _print_window_problems(windows: WindowsFile) -> None:
    for number, message in windows.problems[:_LISTED_MAX]:
        print(f"  line {number}: {message}")


def _window_fields(windows: WindowsFile, check: DataCheck | None) -> list[tuple[str, object]]:
    from actors.feeds.windows import outcome_counts

    counts = outcome_counts(windows.windows)
    last_us = max(window.end_us for window in windows.windows)
    gaps = windows.gaps()
    unstruck = sum(1 for window in windows.windows if window.strike is None)
    fields: list[tuple[str, object]] = [
        ("windows", f"{len(windows.windows):,}"),
        ("span", _span(windows.windows[0].start_us, last_us)),
        ("outcomes", ", ".join(f"{count:,} {name}" for name, count in counts.items())),
        ("without strike", f"{unstruck:,}"),
        ("between them", f"{len(gaps):,} gaps" if gaps else "no gap"),
        ("bad rows", f"{windows.bad_rows:,}, {windows.duplicates:,} duplicates"),
    ]
    if check is None:
        advice = f"`holdfast data check PRICES --windows {windows.path}` looks at their prices"
        return [*fields, ("coverage", advice)]
    covered = [coverage for coverage in check.coverage if coverage.prices]
    worst = max((coverage.longest_silence_us for coverage in covered), default=0)
    share = sum(c.share for c in check.coverage) / max(len(check.coverage), 1)
    known = sum(1 for c in check.coverage if c.settled and c.window.outcome)
    disagree = sum(1 for c in check.coverage if c.disagrees)
    return [
        *fields,
        (
            "coverage",
            f"{len(covered):,} of {len(check.coverage):,} windows have prices, {share:.2f} a "
            f"second on average; the longest silence inside of one {worst / 1e6:,.0f} s",
        ),
        (
            "settlement",
            f"recomputed for {known:,}, otherwise than the official outcome in {disagree:,} "
            "(the official one stands)",
        ),
    ]
