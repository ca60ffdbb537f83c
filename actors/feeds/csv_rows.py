"""CSV rows by column name: order and case of the header are free, unknown columns are ignored."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from operator import itemgetter

BOM = b"\xef\xbb\xbf"


def header_columns(line: bytes) -> list[str]:
    """The header's names, lower case and stripped. Raises ValueError when it is not text."""
    return [name.strip().lower() for name in split_row(line.removeprefix(BOM))]


def split_row(line: bytes) -> list[str]:
    """The row's fields. Raises ValueError when it is not UTF-8 or badly quoted."""
    text = line.decode("utf-8")
    if '"' not in text:
        return text.split(",")
    try:
        return next(csv.reader([text], strict=True))
    except (csv.Error, StopIteration) as error:
        raise ValueError(f"bad CSV quoting: {error}") from None


class Columns:
    """Where the wanted columns are in a row of this file."""

    __slots__ = ("_count", "_pick", "_places")

    def __init__(
        self, header: Sequence[str], wanted: Sequence[str], optional: Sequence[str] = ()
    ) -> None:
        """Raises ValueError naming the columns that are missing or there twice."""
        missing = [name for name in wanted if name not in header]
        if missing:
            raise ValueError(f"the header has no column {', '.join(missing)}")
        names = (*wanted, *optional)
        double = [name for name in names if header.count(name) > 1]
        if double:
            raise ValueError(f"the header has the column {', '.join(double)} twice")
        self._count = len(header)
        self._places = [header.index(name) if name in header else -1 for name in names]
        self._pick = itemgetter(*self._places) if min(self._places) >= 0 else None

    def pick(self, line: bytes) -> Sequence[str]:
        """The wanted fields, then the optional ones ('' where the file has none), stripped.

        Raises ValueError when the row has not as many fields as the header.
        """
        fields = split_row(line) if b'"' in line else line.decode("utf-8").split(",")
        if len(fields) != self._count:
            raise ValueError(f"{len(fields)} fields where the header has {self._count}")
        if self._pick is not None and b" " not in line and b"\t" not in line:
            picked: Sequence[str] = self._pick(fields)
            return picked
        return [fields[place].strip() if place >= 0 else "" for place in self._places]
