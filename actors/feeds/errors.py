"""The one error that reading recorded market data raises."""

from __future__ import annotations


class MarketFileError(Exception):
    """A market data file cannot be used, or (strict) is not clean.

    The message is one line: the file, the line where there is one, what is wrong, what to do.
    """
