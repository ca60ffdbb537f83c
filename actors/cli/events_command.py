"""`holdfast events`: the journal itself, once or as it grows."""

from __future__ import annotations

import difflib
import json as json_lib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from actors.cli.options import HERE, USAGE, CommandFailed, Json, Place, check_count

_POLL_S = 0.25
_PAGE = 1_000


def events(
    *,
    after: int = 0,
    follow: bool = False,
    stream: str | None = None,
    type: Annotated[str | None, Parameter(name="--type")] = None,  # noqa: A002
    limit: int | None = None,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Events of the journal, oldest first; as JSON one list, with --follow a document a line.

    Parameters
    ----------
    after
        Only events with a greater seq.
    follow
        Wait for more, until interrupted.
    stream
        Only one stream, for example `order/ID`, `position/ID`, `mode`.
    type
        Only one type, for example `OrderFilled`.
    limit
        Stop after this many.
    """
    check_count("--after", after, 0)
    check_count("--limit", limit, 1)
    kind = _type(type)
    found = _read(place.database(), after, stream, kind, follow)
    try:
        _print(_at_most(found, limit), json, follow)
    except KeyboardInterrupt:
        if not follow:
            raise  # an interrupted list is not a whole document
    return 0


def _type(given: str | None) -> str | None:
    from fsm.events import EVENT_TYPES

    if given is None or given in EVENT_TYPES:
        return given
    near = difflib.get_close_matches(given, EVENT_TYPES, n=1, cutoff=0.0)[0]
    raise CommandFailed(f"--type {given}: no such event; did you mean {near}?", USAGE)


def _read(
    path: Path, after: int, stream: str | None, kind: str | None, follow: bool
) -> Iterator[dict[str, Any]]:
    """A page at a time, so that a reader never holds a snapshot open for long."""
    from actors.cli.database import open_database, say_what_is_lost

    where, params = ["seq > ?"], [after]
    filters: list[object] = []
    for column, value in (("stream", stream), ("type", kind)):
        if value is not None:
            where.append(f"{column} = ?")
            filters.append(value)
    sql = (
        "SELECT seq, turn, at_us, stream, type, payload, hash FROM journal "
        f"WHERE {' AND '.join(where)} ORDER BY seq LIMIT {_PAGE}"
    )
    conn = open_database(path)
    say_what_is_lost(conn, path)
    try:
        while True:
            page = conn.execute(sql, [*params, *filters]).fetchall()
            for row in page:
                params[0] = row[0]
                yield _document(row)
            if len(page) < _PAGE:
                if not follow:
                    return
                sys.stdout.flush()
                time.sleep(_POLL_S)
    finally:
        conn.close()


def _document(row: tuple[Any, ...]) -> dict[str, Any]:
    from fsm.timestamps import iso_utc

    seq, turn, at_us, stream, kind, payload, digest = row
    return {
        "seq": seq,
        "turn": turn,
        "at": iso_utc(at_us),
        "stream": stream,
        "type": kind,
        "payload": json_lib.loads(payload),
        "hash": digest.hex(),
    }


def _at_most(found: Iterator[dict[str, Any]], limit: int | None) -> Iterator[dict[str, Any]]:
    for number, document in enumerate(found, start=1):
        yield document
        if limit is not None and number >= limit:
            return


def _print(found: Iterator[dict[str, Any]], json: bool, follow: bool) -> None:
    out = sys.stdout
    if json and follow:
        for document in found:
            out.write(json_lib.dumps(document, ensure_ascii=False) + "\n")
            out.flush()
    elif json:
        separator = "[\n"
        for document in found:
            out.write(separator + json_lib.dumps(document, ensure_ascii=False))
            separator = ",\n"
        out.write("[]\n" if separator == "[\n" else "\n]\n")
    else:
        for document in found:
            out.write(_line(document) + "\n")


def _line(document: dict[str, Any]) -> str:
    said = {k: v for k, v in document["payload"].items() if v not in (None, "", [], {})}
    text = " ".join(f"{k}={_value(v)}" for k, v in said.items() if not k.endswith("_id"))
    head = f"{document['seq']:>8}  {document['at']}  {document['type']:<20}"
    return f"{head}  {document['stream']}  {text}"


def _value(value: object) -> str:
    plain = isinstance(value, str) and " " not in value
    return str(value) if plain else json_lib.dumps(value, ensure_ascii=False)
