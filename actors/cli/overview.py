"""The state document as a person reads it at night: is it safe, what is it doing, why."""

from __future__ import annotations

from typing import Any

from actors.cli.output import print_fields, print_table

_MIB = 1024 * 1024
_ENDED = ("CLOSED", "CANCELLED_BY_ENGINE")
_TERMINAL = ("FILLED", "CANCELED", "REJECTED", "EXPIRED")


def print_overview(document: dict[str, Any]) -> None:
    """Mode first, because it answers the first question."""
    _print_mode(document["mode"])
    session, venue = document["session"], document["venue"]
    print_fields(
        "Session",
        [
            ("id", session["id"]),
            ("trading", session["mode"]),
            ("started", session["started_at"]),
            ("up", _seconds(session["uptime_s"])),
            ("books and venue", venue["truth"]["status"]),
            ("last reconciled", venue["last_reconcile_at"]),
        ],
    )
    print_account(document["account"])
    positions = [{"position": k} | v for k, v in document["positions"].items()]
    open_ones = [row for row in positions if row["state"] not in _ENDED]
    columns = "position state instrument side qty basis_price mark_price stop unrealized_pnl"
    print_table(open_ones, columns.split(), empty="  none", title="Open positions")
    orders = [{"order": k} | v for k, v in document["orders"].items()]
    working = [row for row in orders if row["state"] not in _TERMINAL]
    columns = "order state role instrument side type qty limit_price filled_qty"
    print_table(working, columns.split(), empty="  none", title="Orders that are not over")
    feeds = [{"instrument": k} | v for k, v in document["feeds"].items()]
    columns = "instrument age_ms ticks gaps out_of_order duplicates"
    print_table(feeds, columns.split(), empty="  no service answers", title="Feeds")
    print_recorder(document.get("recorder", {}))
    journal = document["journal"]
    fields = [(k, journal[k]) for k in ("seq", "hash", "writer_lag_ms", "wal_bytes")]
    troubles = {k: v for k, v in document["counters"].items() if v}
    print_fields("Journal", [*fields, *_backup(journal["backup"]), ("counters", troubles)])


def _print_mode(mode: dict[str, Any]) -> None:
    sources = [f"{s['source']}: {s['condition']} (since {s['since']})" for s in mode["sources"]]
    fields: list[tuple[str, object]] = [("state", mode["state"]), ("control", mode["control"])]
    if mode["halt_reason"]:
        fields.append(("halted by", mode["halt_reason"]))
    fields += [("because of", source) for source in sources]
    print_fields("Mode", fields)


def print_account(account: dict[str, Any]) -> None:
    """Figures, then one line an asset."""
    names = ("capital", "capital_source", "equity", "net_basis", "realized_pnl", "fees_paid")
    fields = [(name, account[name]) for name in names]
    fields += [("margin_used", account["margin"]["used"]), ("as of seq", account["event_seq"])]
    print_fields("Account", fields)
    balances = [{"asset": k} | v for k, v in account["balances"].items()]
    print_table(balances, ("asset", "total", "reserved", "free"), empty="  no balances")


def print_recorder(recorder: dict[str, Any]) -> None:
    """What is recorded, what is lost, and how the clocks stand."""
    fields: list[tuple[str, object]] = [("state", recorder.get("state"))]
    if "folder" in recorder:
        used, most = recorder["bytes"] / _MIB, recorder["bytes_max"]
        bound = f" of {most / _MIB:.0f}" if most else ""
        fields += [
            ("folder", recorder["folder"]),
            ("files", f"{recorder['files']} with {used:.1f}{bound} MiB"),
            *recorder_fields(recorder),
        ]
    print_fields("Recorder", fields)


def recorder_fields(recorder: dict[str, Any]) -> list[tuple[str, object]]:
    """Rows and clock of each feed, and what is wrong."""
    fields: list[tuple[str, object]] = []
    if recorder["problem"]:
        fields.append(("because of", recorder["problem"]))
    for name, feed in recorder["feeds"].items():
        fields += [(f"feed {name}", _rows(feed)), ("clock", feed["clock"])]
    return fields


def _rows(counts: dict[str, Any]) -> str:
    lost = f", LOST {counts['lost']}" if counts["lost"] else ", none lost"
    shed = f", {counts['shed']} shed by a full lane" if counts["shed"] else ""
    gaps = f", gaps {counts['gaps']}" if counts["gaps"] else ""
    return f"{counts['recorded']} recorded of {counts['received']}{lost}{shed}{gaps}"


def _backup(backup: dict[str, Any]) -> list[tuple[str, object]]:
    """The newest backup, and why there is no newer one."""
    seq = "" if backup["last_seq"] is None else f", up to seq {backup['last_seq']}"
    fields: list[tuple[str, object]] = [("last backup", f"{backup['last_at'] or 'none'}{seq}")]
    if backup["failed"]:
        fields.append(("BACKUP FAILED", backup["failed"]))
    return fields


def _seconds(value: float | None) -> str:
    return "no service answers" if value is None else f"{value:.0f} s"
