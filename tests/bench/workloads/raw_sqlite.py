"""The limit: the rows of `market_orders` straight into SQLite, same PRAGMAs, same batch sizes.

No engine, no encoding, no hashing, no projections: what is left is SQLite and the disk.
"""

from __future__ import annotations

import time
from pathlib import Path

from storage.inserts import insert
from storage.journal import connect_readonly
from storage.schema import migrate
from storage.writer import open_writing_connection
from tests.bench.measuring import Figures, Workload
from tests.bench.workloads import market_orders

_TABLES = (
    ("journal", "seq, turn, at_us, stream, type, payload, hash", "seq"),
    ("dedup_keys", "key, seq", "seq"),
    ("identities", "venue_order_id, client_order_id, seq", "seq"),
)


def run(folder: Path, size: int) -> Figures:
    """Let the engine make the rows (not timed), then write them with as many rows a commit."""
    events_per_commit = round(market_orders.run(folder, size)["events_per_commit"])
    source = connect_readonly(folder / "bench.db")
    rows = {
        table: source.execute(f"SELECT {columns} FROM {table} ORDER BY {order}").fetchall()
        for table, columns, order in _TABLES
    }
    source.close()
    chunks = _chunks(rows, events_per_commit)
    target = folder / "raw.db"
    conn = open_writing_connection(target)
    migrate(conn, str(target))
    started = time.perf_counter()
    for chunk in chunks:
        conn.execute("BEGIN IMMEDIATE")
        for (table, columns, _), flat in zip(_TABLES, chunk, strict=True):
            insert(conn, f"{table} ({columns})", columns.count(",") + 1, flat)
        conn.execute("COMMIT")
    took_s = time.perf_counter() - started
    conn.close()
    return {
        "orders_per_s": size / took_s,
        "events_per_s": len(rows["journal"]) / took_s,
        "commits": float(len(chunks)),
        "events_per_commit": float(events_per_commit),
        "seconds": took_s,
    }


def _chunks(rows: dict[str, list[tuple[object, ...]]], size: int) -> list[list[list[object]]]:
    """Per commit the flat values of each table; keys and identities go with their event."""
    journal = rows["journal"]
    cuts = [journal[i : i + size] for i in range(0, len(journal), size)]
    chunks = []
    rest = {table: iter(rows[table]) for table in ("dedup_keys", "identities")}
    held = {table: next(rest[table], None) for table in rest}
    for cut in cuts:
        last: int = cut[-1][0]  # type: ignore[assignment]
        chunk: list[list[object]] = [[value for row in cut for value in row]]
        for table, more in rest.items():
            flat: list[object] = []
            while (row := held[table]) is not None and row[-1] <= last:  # type: ignore[operator]
                flat += row
                held[table] = next(more, None)
            chunk.append(flat)
        chunks.append(chunk)
    return chunks


WORKLOAD = Workload(
    name="raw_sqlite",
    about="the limit: the same rows straight into SQLite, same PRAGMAs and batch sizes",
    size=20_000,
    quick_size=2_000,
    headline=("orders_per_s", "events_per_s"),
    run=run,
)
