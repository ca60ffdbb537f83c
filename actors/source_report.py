"""What a run says of the recorded data that it was given, for its summary."""

from __future__ import annotations

from typing import Any

from actors.feeds.files import MarketFile, RecordedFeed
from actors.recording.completeness import clock_in_words

Source = MarketFile | RecordedFeed


def source_report(source: Source) -> dict[str, Any]:
    """Counts, problems with their places, and how far its clocks were apart."""
    report = source.report
    return {
        "format": report.format,
        "place": report.place,
        "rows": report.rows,
        "quotes": report.quotes,
        "trades": report.trades,
        "other": sum(report.other.values()),
        "bad_rows": report.bad_rows,
        "out_of_order": report.out_of_order,
        "duplicates": report.duplicates,
        "unmatched": report.unmatched,
        "gaps": report.gaps,
        "truncated": report.truncated,
        "truncated_message": report.truncated_message,
        "problems": report.problems,
        "clock": clock_in_words(report.clock_offset_us) if report.clock_offset_us else None,
    }
