"""Where log lines go: standard error, one compact line each, never blocking a turn for long.

A line begins with a token in capitals that a person can search for. `loguru` writes in the caller's
thread (`enqueue=False`): its queue would need a thread and could lose the last lines at a kill.
"""

from __future__ import annotations

import sys

from loguru import logger

_FORMAT = "{time:YYYY-MM-DD HH:mm:ss.SSS!UTC} {level: <8} {message}"
_CLEAR_LINE = "\r\x1b[2K"


def to_stderr(level: str = "INFO") -> None:
    """Log to standard error from this level on; on a terminal the status line makes room."""
    logger.remove()
    prefix = _CLEAR_LINE if sys.stderr.isatty() else ""

    def write(text: str) -> None:
        sys.stderr.write(prefix + text)

    logger.add(write, level=level, format=_FORMAT, colorize=False, enqueue=False, backtrace=False)
