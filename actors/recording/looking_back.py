"""What was recorded last, read off the disk when no service answers.

Only whole windows are known here: what a killed recorder had counted of its last one is lost with
it, though not the rows themselves.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from actors.recording.completeness import WINDOWS_KEPT, Counts, clock_in_words
from actors.recording.files import recording_files, windows_path

NOBODY = "no service answers"

_COUNTED = ("recorded", "lost", "shed", "gaps")


def last_session(root: Path) -> dict[str, Any]:
    """The `recorder` section for the newest recording of a folder; never raises."""
    files = recording_files(root)
    if not files:
        return {"state": NOBODY}
    newest = [file for file in files if file.parent == files[-1].parent]
    lines = [line for file in newest for line in _lines(windows_path(file))]
    totals = _summed(lines)
    return {
        "state": NOBODY,
        "problem": "",
        "folder": str(root),
        "file": str(files[-1]),
        "files": len(files),
        "bytes": sum(_size(file) + _size(windows_path(file)) for file in files),
        "bytes_max": None,
        **totals.document(),
        "feeds": {
            name: _feed([line for line in lines if line["feed"] == name])
            for name in dict.fromkeys(line["feed"] for line in lines)
        },
    }


def _feed(lines: list[dict[str, Any]]) -> dict[str, Any]:
    offset_ms = lines[-1].get("clock_offset_ms")
    names = dict.fromkeys(name for line in lines for name in line["instruments"])
    by_name = {n: [x["instruments"][n] for x in lines if n in x["instruments"]] for n in names}
    shown = [{k: v for k, v in x.items() if k not in ("feed", "instruments")} for x in lines]
    return {
        **_summed(lines).document(),
        "clock_offset_ms": offset_ms,
        "clock": clock_in_words(None if offset_ms is None else round(offset_ms * 1_000)),
        "instruments": {name: _summed(found).document() for name, found in by_name.items()},
        "windows": shown[-WINDOWS_KEPT:],
    }


def _is_whole(document: dict[str, Any]) -> bool:
    """Whether a line has what is read of it: somebody may have written into the file."""
    return {"feed", "instruments"} <= document.keys() and all(
        isinstance(document.get(name), int) for name in _COUNTED
    )


def _summed(lines: list[dict[str, Any]]) -> Counts:
    return Counts(**{name: sum(line[name] for line in lines) for name in _COUNTED})


def _lines(path: Path) -> list[dict[str, Any]]:
    """Whole lines; a torn last one belongs to a recorder that was killed."""
    found = []
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    for line in text.splitlines():
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict) and _is_whole(document):
            found.append(document)
    return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
