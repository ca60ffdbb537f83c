"""Commands that show what is and what was. They read; nothing here changes anything.

`status`, `account` and `positions` ask the running service for its live figures and fold the
journal when there is none.
"""

from __future__ import annotations

import difflib
import json as json_lib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from actors.cli.options import HERE, USAGE, CommandFailed, Json, Place, check_count

if TYPE_CHECKING:
    from actors.config import Config

_LIVE_TIMEOUT_S = 2.0
_HOW_TO_RESOLVE = (
    "\nLook each one up at the venue, then: holdfast control resolve ORDER --as "
    "canceled|expired|rejected|filled\n--evidence TEXT --who NAME; `filled` names the venue's "
    "trades with --trades FILE. Funds stay reserved until then."
)
_HOW_TO_ATTRIBUTE = (
    "\nThese changed nothing. Look each one up at the venue, then: holdfast control attribute SEQ\n"
    "--order ID | --dismiss, with --why TEXT and --who NAME."
)
Limit = Annotated[int | None, Parameter(help="At most this many, the newest.")]


def status(
    *,
    all: bool = False,  # noqa: A002
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Mode and why, session, account, open positions, working orders, feeds, journal.

    Parameters
    ----------
    all
        Include orders and positions of earlier sessions that have ended.
    """
    from actors.cli import output, overview
    from actors.recording.looking_back import NOBODY

    database = place.database()
    document = state_of(database, everything=all)
    if document["recorder"] == {"state": NOBODY}:
        document["recorder"] |= _recorded_last(place, database)
    if document["journal"]["backup"]["folder"] is None:
        document["journal"]["backup"] |= _kept_last(place, database)
    if json:
        output.print_json(document)
    else:
        overview.print_overview(document)
    return 0


def account(*, json: Json = False, place: Place = HERE) -> int:
    """Capital, PnL gross and net, fees, funding, slippage, return, balances, margin.

    Each figure with how much of it is provisional, estimated or inferred. People see 8 decimals;
    --json has every digit.
    """
    found = state_of(place.database(), everything=False)["account"]
    from actors.cli import output, overview

    if json:
        output.print_json(found)
    else:
        overview.print_account_in_full(found)
    return 0


def orders(
    *,
    held: bool = False,
    all: bool = False,  # noqa: A002
    state: str | None = None,
    limit: Limit = None,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Orders of this session and every live one, oldest first.

    Parameters
    ----------
    held
        Only those that wait for a person: HELD_FOR_REVIEW in any session.
    all
        Those of every session.
    state
        Only those in this state, in any session.
    """
    from fsm.order import TERMINAL, OrderState

    check_count("--limit", limit, 1)
    wanted = OrderState.HELD_FOR_REVIEW if held else _state(state, [str(s) for s in OrderState])
    ended = ",".join(f"'{s}'" for s in sorted(TERMINAL))
    found = _listed("orders", wanted, f"state NOT IN ({ended})", all, limit, place.database())
    columns = (
        "client_order_id state role instrument side type qty limit_price filled_qty avg_price "
        "fees reason created_at"
    )
    if held:
        columns = "client_order_id role instrument side qty filled_qty reason flags created_at"
    _show(found, columns, json, "No orders." if not held else "No order is held.")
    if held and found and not json:
        print(_HOW_TO_RESOLVE)
    return 0


def positions(
    *,
    all: bool = False,  # noqa: A002
    limit: Limit = None,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Positions of this session and every open one, oldest first.

    Parameters
    ----------
    all
        Those of every session.
    """
    check_count("--limit", limit, 1)
    database = place.database()
    ended = "state NOT IN ('CLOSED','CANCELLED_BY_ENGINE')"
    found = _listed("positions", None, ended, all, limit, database)
    live = (live_state(database) or {}).get("positions", {})
    for row in found:
        now = live.get(row["position_id"], {})
        row["mark_price"] = now.get("mark_price")
        row["unrealized_pnl"] = now.get("unrealized_pnl", "0")
    columns = (
        "position_id state instrument side qty basis_price mark_price stop take_profit "
        "realized_pnl unrealized_pnl fees exit_reason opened_at"
    )
    _show(found, columns, json, "No positions.")
    return 0


def fills(
    *,
    unresolved: bool = False,
    limit: Limit = None,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Executions of every session, oldest first.

    Parameters
    ----------
    unresolved
        Instead, what the venue told and nobody could place: open facts of any kind.
    """
    check_count("--limit", limit, 1)
    if unresolved:
        return _unresolved(place.database(), limit, json)
    found = _rows(place.database(), "fills", limit=limit)
    columns = "seq at client_order_id position_id instrument side role qty price fee fee_asset"
    _show(found, columns + " status liquidity trade_id", json, "No fills.")
    return 0


def _unresolved(database: Path, limit: int | None, json: bool) -> int:
    found = _rows(database, "unresolved_facts", where="resolved_at IS NULL", limit=limit)
    _show(found, "seq at fact reason payload", json, "Every fact has its place.")
    if found and not json:
        print(_HOW_TO_ATTRIBUTE)
    return 0


def sessions(*, limit: Limit = None, json: Json = False, place: Place = HERE) -> int:
    """Every session: what it earned, how much of that is certain, and why it ended, oldest first.

    What is booked in a session counts in it, whichever session the order is of. The figures of
    one that ended are as they were known then; the one that runs has its own up to now.
    """
    check_count("--limit", limit, 1)
    database = place.database()
    found = _rows(database, "sessions", limit=limit)
    for row in found:
        for name in ("clean", "recovery"):
            row[name] = None if row[name] is None else bool(row[name])
    if found and found[-1]["ended_at"] is None:
        # It runs, or was killed and nobody has started since: the fold has its figures.
        session = state_of(database, everything=False)["session"]
        if session["id"] == found[-1]["session_id"]:
            found[-1] |= session["figures"]
    for row in found:
        row["return_note"] = row["return_note"] or ""
    if json:
        from actors.cli import output

        output.print_json(found)
    else:
        from actors.cli import overview

        overview.print_sessions(found)
    return 0


# --------------------------------------------------------------------------------------- state


def state_of(database: Path, *, everything: bool) -> dict[str, Any]:
    """The state document: the running service's own, or folded from the journal."""
    live = live_state(database, everything=everything)
    if live is not None:
        return live
    from actors.cli.database import reading_tables
    from actors.fold import folded
    from actors.registry import Books
    from actors.runtime.ids import IdSource
    from actors.state import state_document
    from actors.world import Rules, World
    from storage.journal import JournalReader

    with reading_tables(database) as conn:
        books = Books(World(rules=Rules(), ids=IdSource("")), None)
        head = folded(JournalReader(conn), books, database).head
        return state_document(books, conn, head, everything=everything)


def _configured(place: Place) -> Config:
    """A status must not depend on a configuration that is being edited."""
    from actors.config import Config, ConfigError, load_config

    try:
        return load_config(place.config)
    except ConfigError:
        return Config()


def _recorded_last(place: Place, database: Path) -> dict[str, Any]:
    """What lies in the folder of recordings; empty when the recorder is off or never wrote."""
    from actors.recording.looking_back import last_session
    from actors.recording.starting import recordings_folder

    return last_session(recordings_folder(_configured(place), database))


def _kept_last(place: Place, database: Path) -> dict[str, Any]:
    """What lies in the folder of backups."""
    from actors.backups import last_backup
    from actors.settings import backups_folder

    return last_backup(backups_folder(_configured(place), database), database)


def live_state(database: Path, *, everything: bool = False) -> dict[str, Any] | None:
    """What the running service says of itself, or None when none answers."""
    if not Path(f"{database}.sock").exists():
        return None
    from actors.runtime.control_socket import ControlUnavailable, ask

    try:
        answer = ask(database, {"command": "live", "all": everything}, _LIVE_TIMEOUT_S)
    except ControlUnavailable:
        return None
    document = answer.get("document")
    return document if answer.get("ok") and isinstance(document, dict) else None


# ---------------------------------------------------------------------------------------- rows


def _rows(database: Path, table: str, **options: Any) -> list[dict[str, Any]]:
    from actors.cli.database import reading_tables, rows

    with reading_tables(database) as conn:
        found = rows(conn, table, **options)
    for row in found:
        if "flags" in row:
            row["flags"] = json_lib.loads(row["flags"] or "[]")
    return found


def _listed(
    table: str, wanted: str | None, live: str, every: bool, limit: int | None, database: Path
) -> list[dict[str, Any]]:
    if wanted is not None:
        return _rows(database, table, where="state = ?", params=(wanted,), limit=limit)
    if every:
        return _rows(database, table, limit=limit)
    latest = "session_id = (SELECT session_id FROM sessions ORDER BY rowid DESC LIMIT 1)"
    return _rows(database, table, where=f"{latest} OR {live}", limit=limit)


def _state(given: str | None, known: list[str]) -> str | None:
    if given is None:
        return None
    word = given.upper().replace("-", "_")
    if word in known:
        return word
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.0)[0]
    raise CommandFailed(f"--state {given}: no such state; did you mean {near}?", USAGE)


def _show(found: list[dict[str, Any]], columns: str, json: bool, empty: str) -> None:
    from actors.cli import output

    if json:
        output.print_json(found)
    else:
        output.print_table(found, columns.split(), empty=empty)
