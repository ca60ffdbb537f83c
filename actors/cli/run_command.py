"""`holdfast run`: start the service, show one line that updates, print the summary at the end."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from actors.cli.options import (
    CHECK_FAILED,
    JOURNAL_FAILED,
    CommandFailed,
    Json,
    Place,
    duration,
)
from actors.runtime.clock import elapsed_s

if TYPE_CHECKING:
    from actors.cli.reading_progress import ReadingProgress
    from actors.engine import Engine
    from actors.launch import AlreadyRunning, Launch
    from actors.summary import Summary

HALTED, REFUSED, INTERRUPTED, USAGE = 5, 3, 130, 2


def register(app: App) -> None:
    """Add `run` to the command line."""
    app.command(run, name="run")


def run(
    *,
    mode: Annotated[str | None, Parameter(help="paper (live and dry-run come later)")] = None,
    for_: Annotated[
        str | None, Parameter(name="--for", help="End by itself after this time: 30s, 5m, 1h.")
    ] = None,
    data: Annotated[Path | None, Parameter(help="Replay this market data file.")] = None,
    format_: Annotated[
        str | None,
        Parameter(name="--format", help="Format of --data. Without it: recognised by content."),
    ] = None,
    symbol: Annotated[
        str | None, Parameter(help="What the rows of --data are of, where they do not name it.")
    ] = None,
    speed: Annotated[str, Parameter(help="1, a factor, or max (simulated time).")] = "1",
    strict: Annotated[bool, Parameter(help="Stop at the first bad row of --data.")] = False,
    seed: Annotated[int | None, Parameter(help="Seed of market and venue.")] = None,
    no_web: Annotated[
        bool, Parameter(help="No dashboard. This version has none: accepted for scripts.")
    ] = False,
    accept_truth_divergence: Annotated[
        bool, Parameter(help="Start although the books differ from the venue (DEGRADED).")
    ] = False,
    place: Place = Place(),  # noqa: B008 - a frozen value
    json: Json = False,
) -> int:
    """Run the service until Ctrl-C, or for --for, and print the session summary."""
    from actors.config import load_config, with_overrides
    from actors.launch import AlreadyRunning, Launch, LaunchError
    from actors.logs import to_stderr
    from actors.strategies.registry import StrategyError

    to_stderr("WARNING" if json else "INFO")
    config = load_config(place.config)
    flags: dict[str, Any] = {}
    if mode is not None:
        flags["engine.mode"] = mode
    if seed is not None:
        flags["engine.seed"] = str(seed)
    config = with_overrides(config, flags, "command line") if flags else config
    show = Screen(quiet=json, file="" if data is None else data.name)
    launch = Launch(
        config=config,
        database=place.db or Path(config.engine.db),
        data=data,
        data_format=format_,
        data_symbol=symbol,
        speed=speed,
        strict=strict,
        duration_s=None if for_ is None else duration("--for", for_),
        accept_divergence=accept_truth_divergence,
        on_status=show.status,
        on_progress=show.progress,
    )
    try:
        summary = launch.run()
    except AlreadyRunning as running:
        return observe(launch, running, as_json=json)
    except StrategyError as problem:
        raise CommandFailed(str(problem), USAGE) from problem
    except LaunchError as problem:
        raise CommandFailed(str(problem), problem.exit_code) from problem
    finally:
        show.close()
    _print(summary, as_json=json)
    return exit_code(summary, interrupted=launch.interrupted)


def exit_code(summary: Summary, *, interrupted: bool) -> int:
    """The contract's exit code of a session that ended with this reason."""
    if interrupted:
        return INTERRUPTED
    reason = summary.halt_reason
    if reason == "journal_failed":
        return JOURNAL_FAILED
    if reason == "truth_divergence":
        return REFUSED
    if summary.truth == "halt":
        return CHECK_FAILED
    clean = ("duration_elapsed", "data_ended", "operator_stop")
    return 0 if reason in clean or reason.startswith("interrupted_") else HALTED


def _print(summary: Summary, *, as_json: bool) -> None:
    from actors.cli.output import print_json

    if as_json:
        print_json(summary.to_json())
        for line in summary.lines()[-12:]:
            print(line, file=sys.stderr)
    else:
        print("\n".join(summary.lines()))


def observe(launch: Launch, running: AlreadyRunning, *, as_json: bool) -> int:
    """A second run on one database trades nothing: it says who does, and shows the state."""
    from actors.cli.output import print_json
    from actors.runtime.control_socket import ControlUnavailable, ask

    pid = running.holder.get("pid", "?")
    print(
        f"observing: process {pid} already runs on {launch.database}; this one only watches "
        "(Ctrl-C ends it)",
        file=sys.stderr,
    )
    ends = None if launch.duration_s is None else elapsed_s() + launch.duration_s
    document: dict[str, Any] = {}
    try:
        while ends is None or elapsed_s() < ends:
            try:
                document = ask(launch.database, {"command": "live"})["document"]
            except ControlUnavailable:
                print(f"observing: process {pid} no longer answers", file=sys.stderr)
                break
            if not as_json:
                print(observed_line(document))
            time.sleep(1.0)
    except KeyboardInterrupt:
        pass
    if as_json:
        print_json({"observing": True, "holder": running.holder, "state": document})
    return 0


def observed_line(document: dict[str, Any]) -> str:
    """One line of another process's state."""
    from actors.cli.output import cell

    account, journal = document["account"], document["journal"]
    held = [
        p for p in document["positions"].values() if p["state"] in ("MONITORING", "EXIT_PENDING")
    ]
    return (
        f"{document['mode']['state']}  positions {len(held)}  capital "
        f"{cell(account['capital'])}  fees {cell(account['fees_paid'])}  seq {journal['seq']}"
    )


class Screen:
    """The line that updates while a person looks, or a line now and then for a log."""

    def __init__(self, *, quiet: bool, file: str = "") -> None:
        self._bar: ReadingProgress | None = None
        self._file = file
        self._silent = quiet
        self._terminal = sys.stderr.isatty()
        self._every_s = 0.2 if self._terminal else 10.0
        self._shown_at = 0.0
        self._started = elapsed_s()
        self._open = False
        self._quiet = quiet and not self._terminal

    def status(self, engine: Engine, waiting: str) -> None:
        """The service's state in one line."""
        world, ledger = engine.world, engine.world.ledger
        held = sum(1 for p in world.positions.values() if p.is_open)
        live = len(world.live_orders())
        sources = ", ".join(engine.books.mode.sources)
        text = (
            f"{world.mode}{f' ({sources})' if sources else ''} | up {self._up()} | "
            f"open positions {held} | live orders {live} | "
            f"session {ledger.session_realized - ledger.session_fees:+.4f} net "
            f"(fees {ledger.session_fees:.4f}) | seq {engine.writer.head.seq}"
        )
        self._show(f"{text} | stopping: {waiting}" if waiting else text)

    def progress(self, engine: Engine, rows: int, done: int, total: int) -> None:
        """How far a replay is: a bar on a terminal, nothing elsewhere."""
        if not self._terminal or self._silent:
            return
        if self._bar is None:
            from actors.cli.reading_progress import ReadingProgress

            self._bar = ReadingProgress(self._file, quiet=False)
            self._bar.__enter__()
        held = sum(1 for p in engine.world.positions.values() if p.is_open)
        self._bar.update(rows, done, total, f"open positions {held}  seq {engine.writer.head.seq}")

    def _up(self) -> str:
        seconds = int(elapsed_s() - self._started)
        return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"

    def _show(self, text: str) -> None:
        now = elapsed_s()
        if self._quiet or now - self._shown_at < self._every_s:
            return
        self._shown_at = now
        if self._terminal:
            self._open = True
            print(f"\r\x1b[2K{text}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the line behind; a bar goes."""
        if self._bar is not None:
            self._bar.close()
        if self._open:
            print(file=sys.stderr)
