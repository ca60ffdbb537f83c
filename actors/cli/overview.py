"""The state document as a person reads it at night: is it safe, what is it doing, why."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from actors.cli.output import cell, print_fields, print_table
from fsm.money import shown_pct

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
    """The short form: figures, then one line an asset."""
    fields = [(name, account[name]) for name in ("capital", "capital_source", "equity")]
    fields += [(name, account[name]) for name in ("net_basis", "realized_pnl", "fees_paid")]
    fields += [("net_pnl", account["net_pnl"]), ("return", returned(account))]
    fields += [("margin_used", account["margin"]["used"]), ("as of seq", account["event_seq"])]
    print_fields("Account", fields)
    print_balances(account)


def print_balances(account: dict[str, Any]) -> None:
    """One line an asset, with its average cost where that is known."""
    balances = [
        {"asset": asset, **held, "average_cost": account["wac"].get(asset)}
        for asset, held in account["balances"].items()
    ]
    columns = ("asset", "total", "reserved", "free", "average_cost")
    print_table(balances, columns, empty="  no balances")


def returned(figures: dict[str, Any]) -> str:
    """The return, or why there is none."""
    if figures["return_pct"] is None:
        return f"none: {figures['return_note']}" if figures["return_note"] else "-"
    return shown_pct(Decimal(figures["return_pct"]))


def print_account_in_full(account: dict[str, Any]) -> None:
    """Every figure with how well it is known, balances, and what waits for a person."""
    source = f"{account['capital_source']}, seq {account['capital_seq']}"
    wallet = account["e_wallet_balance"]
    fields: list[tuple[str, object]] = [
        ("capital", f"{cell(account['capital'])}  ({source})"),
        ("equity", f"{cell(account['equity'])}  (with unrealized)"),
        *([] if wallet is None else [("margin wallets", wallet)]),
        ("net basis", account["net_basis"]),
    ]
    print_fields("Account", [*fields, ("as of seq", account["event_seq"])])
    print_fields("Since the first session", list(_performance(account).items()))
    margin = account["margin"]
    print_fields("Margin", [("used", margin["used"]), ("free", margin["free"])])
    print_balances(account)
    if account["unpriced"]:
        print_fields(
            "Opening balances without a price: in no figure (holdfast capital init-basis)",
            list(account["unpriced"].items()),
        )
    if account["proposals"]:
        print_fields(
            "The venue and the books differ: proposed, not booked",
            [
                (f"{one['event']} {one['amount']} {one['asset']}", one["command"])
                for one in account["proposals"]
            ],
        )


def _performance(account: dict[str, Any]) -> dict[str, object]:
    """Gross to net, line by line, each with its provenance."""
    by, unknown = account["realized_by"], account["slippage_unknown_fills"]
    sources = [f"{source} {cell(by[source])}" for source in by if Decimal(by[source])]
    sources += _hanging(account["realized_provisional"])
    lines: dict[str, object] = {
        "realized, gross": _with(account["realized_pnl"], sources),
        "fees": _with(account["fees_paid"], _hanging(account["fees_provisional"])),
        "funding": account["funding"],
    }
    if Decimal(account["converted"]):
        lines["conversions"] = account["converted"]
    slipped = _hanging(account["slippage_provisional"])
    slipped += [f"{unknown} fills unknown"] if unknown else []
    return lines | {
        "net": account["net_pnl"],
        "return on net basis": returned(account),
        "unrealized": _with(account["unrealized_pnl"], _marks(account)),
        "slippage": _with(account["slippage_quote"], slipped),
    }


def _hanging(part: str) -> list[str]:
    return [f"provisional {cell(part)}"] if Decimal(part) else []


def _marks(account: dict[str, Any]) -> list[str]:
    """Open positions without a quote count at their basis: that is said, not shown as a zero."""
    unmarked = ", ".join(account["unmarked"])
    return [f"NO QUOTE of {unmarked}: counted at basis" if unmarked else "estimate at the marks"]


def _with(figure: str, notes: list[str]) -> str:
    return f"{cell(figure)}  ({', '.join(notes)})" if notes else cell(figure)


def print_sessions(found: list[dict[str, Any]]) -> None:
    """One line a session of how it went, and one of what it earned."""
    life = "session_id mode venue started_at ended_at halt_reason clean truth recovery orders fills"
    print_table(found, [*life.split(), "positions_closed", "ticks"], empty="No sessions.")
    if not found:
        return
    rows = [
        {
            "session_id": row["session_id"],
            "gross": row["realized_pnl"],
            "fees": row["fees"],
            "funding": row["funding"],
            "net": row["net_pnl"],
            "slippage": row["slippage_quote"],
            "basis": row["basis"],
            "return": returned(row),
            "exchange": row["realized_exchange"],
            "estimated": row["realized_estimate"],
            "inferred": row["realized_inferred"],
            "provisional": row["realized_provisional"],
        }
        for row in found
    ]
    columns = "session_id gross fees funding net slippage basis return exchange estimated inferred"
    print_table(rows, [*columns.split(), "provisional"], empty="", title="What they earned")
    notes = [(row["session_id"], note) for row in found for note in _session_notes(row)]
    if notes:
        print_fields("Beside that", notes)


def _session_notes(row: dict[str, Any]) -> list[str]:
    """What else of a session may still change, or is not known."""
    notes = [
        f"provisional {name}: {cell(row[f'{name}_provisional'])}"
        for name in ("fees", "slippage")
        if Decimal(row[f"{name}_provisional"] or 0)
    ]
    if Decimal(row["converted"] or 0):
        notes.append(f"conversions: {cell(row['converted'])}, in the net")
    if row["slippage_unknown_fills"]:
        notes.append(f"slippage of {row['slippage_unknown_fills']} fills is not known")
    return notes


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
