"""What reading recorded market data raises."""

from __future__ import annotations


class MarketFileError(Exception):
    """A market data file cannot be used.

    The message is one line: the file, the line where there is one, what is wrong, what to do.
    """


class NotClean(MarketFileError):
    """Strict reading met its first problem; without strictness it would be counted."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}; repair the file, or read it without --strict")
