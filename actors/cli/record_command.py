"""`holdfast record`: the recorder by itself, without an engine and without a database.

It writes what a service's recorder writes, and `holdfast run --data` replays it. The feeds are the
synthetic market and market data files; how they are read is theirs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from actors.cli.options import UNAVAILABLE, USAGE, CommandFailed, Json, duration

if TYPE_CHECKING:
    pass

SYNTHETIC = "synthetic"


def record(
    *,
    feed: Annotated[
        str, Parameter(help="`synthetic`, or the path of a market data file or recording.")
    ],
    out: Annotated[
        Path,
        Parameter(help="The file to write; an existing folder gets rotated files."),
    ],
    for_: Annotated[
        str | None, Parameter(name="--for", help="End by itself after this time: 30s, 5m, 1h.")
    ] = None,
    speed: Annotated[
        str, Parameter(help="1: in real time. max: at once, with the times that the feed has.")
    ] = "1",
    seed: Annotated[int | None, Parameter(help="Seed of the synthetic market.")] = None,
    json: Json = False,
    config: Annotated[
        Path | None,
        Parameter(help="The configuration file. Without it: holdfast.toml here, if there is one."),
    ] = None,
) -> int:
    """Record a feed until Ctrl-C, for --for, or to its end, and print what was recorded.

    One signal ends it cleanly: what arrived is written and the file is complete (exit code 0).
    Exit code 4 when rows could not be written. An existing file is never written to.
    """
    from actors.config import load_config, with_overrides
    from actors.feeds.errors import MarketFileError
    from actors.logs import to_stderr
    from actors.recording.session import prepared

    to_stderr("WARNING")
    settings = load_config(config)
    if seed is not None:
        settings = with_overrides(settings, {"engine.seed": str(seed)}, "command line")
    if speed not in ("1", "max"):
        raise CommandFailed(f"--speed {speed}: 1 or max", USAGE)
    length_s = None if for_ is None else duration("--for", for_)
    if feed == SYNTHETIC and speed == "max" and length_s is None:
        raise CommandFailed("--speed max: the synthetic market has no end, give --for too", USAGE)
    if feed != SYNTHETIC and not Path(feed).exists():
        raise CommandFailed(_unknown(feed), UNAVAILABLE if _is_path(feed) else USAGE)
    try:
        session = prepared(settings, feed, out, length_s=length_s, simulated=speed == "max")
    except MarketFileError as problem:
        raise CommandFailed(str(problem), USAGE) from problem
    except FileExistsError as problem:
        raise CommandFailed(
            f"--out {out}: is there already, and a recording is never appended to: name another",
            USAGE,
        ) from problem
    except OSError as problem:
        reason = problem.strerror or problem
        raise CommandFailed(
            f"--out {out}: cannot be written ({reason}): name another place", UNAVAILABLE
        ) from problem
    document = session.run()
    _print(document, as_json=json)
    return _exit_code(document)


def _exit_code(document: dict[str, Any]) -> int:
    if document["ended"] == "data_error":
        return USAGE
    return UNAVAILABLE if document["lost"] else 0


def _is_path(name: str) -> bool:
    return "/" in name or "." in name


def _unknown(feed: str) -> str:
    if _is_path(feed):
        return f"--feed {feed}: no such file: check the path, or record {SYNTHETIC}"
    return (
        f"--feed {feed}: no such feed; there are: {SYNTHETIC}, or the path of a market data file "
        "(live exchange feeds come with a later version)"
    )


def _print(document: dict[str, Any], *, as_json: bool) -> None:
    from actors.cli import output, overview

    if document["error"]:
        print(f"holdfast: {document['error']}", file=sys.stderr)
    if as_json:
        output.print_json(document)
        return
    output.print_fields(
        f"recorded {document['feed']}: {document['ended']}",
        [
            ("files", document["paths"]),
            *([("read", document["source"])] if document["source"] else []),
            *overview.recorder_fields(document),
        ],
    )
