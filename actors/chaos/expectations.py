"""What an `expect` step says about the state document: paths into it, and the forms of a value."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from actors.chaos.scenario import Expectation
from actors.chaos.strict import Wrong

MISSING = object()
_NUMBER = r"-?\d+(?:\.\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})")
_COMPARE = re.compile(rf"(>=|<=|>|<)\s*({_NUMBER})")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


def parse_expectations(value: Any) -> tuple[Expectation, ...]:
    """Every path of an `expect` table; nested tables are paths as well. Raises Wrong."""
    if not isinstance(value, Mapping) or not value:
        raise Wrong("expect", "must be a table of paths, with at least one")
    found = list(_flattened(value, ""))
    return tuple(Expectation(path, _segments(path), _scalar(path, item)) for path, item in found)


def _flattened(table: Mapping[str, Any], prefix: str) -> Any:
    for key, item in table.items():
        path = f"{prefix}.{key}" if prefix else key
        if isinstance(item, Mapping):
            yield from _flattened(item, path)
        else:
            yield path, item


def _scalar(path: str, item: Any) -> Any:
    if not isinstance(item, (str, int, bool, Decimal, list)):
        raise Wrong("expect", f"{path}: cannot be compared with {item!r}")
    text = item if isinstance(item, str) else ""
    if re.match(r"(>=|<=|>|<)", text) and not _COMPARE.fullmatch(text):
        raise Wrong("expect", f"{path}: {text!r} needs a number after the sign")
    return item


def _segments(path: str) -> tuple[str, ...]:
    """Split at dots that are not quoted. Raises Wrong for an empty segment or an open quote."""
    segments, current, quote, quoted = [], "", "", False
    for ch in path:
        if quote:
            if ch == quote:
                quote = ""
            else:
                current += ch
        elif ch in "\"'" and not current:
            quote, quoted = ch, True
        elif ch == ".":
            segments.append(_segment(path, current, quoted))
            current, quoted = "", False
        else:
            current += ch
    if quote:
        raise Wrong("expect", f"{path}: a quote is not closed")
    segments.append(_segment(path, current, quoted))
    return tuple(segments)


def _segment(path: str, text: str, quoted: bool) -> str:
    if not text and not quoted:
        raise Wrong("expect", f"{path}: an empty segment")
    return text


def look_up(document: Any, segments: tuple[str, ...]) -> Any:
    """The value at a path, or MISSING. `@newest`, `@entry`, `@exit`, `@quote` stand for the newest
    entry of a table (with that role)."""
    node = document
    for segment in segments:
        if isinstance(node, Mapping):
            key = _newest(node, segment) if segment.startswith("@") else segment
            node = node.get(key, MISSING)
        elif isinstance(node, (list, tuple)):
            node = _list_item(node, segment)
        else:
            return MISSING
        if node is MISSING:
            return MISSING
    return node


def _newest(table: Mapping[str, Any], segment: str) -> str:
    keys = [
        key
        for key, row in table.items()
        if segment == "@newest" or (isinstance(row, Mapping) and row.get("role") == segment[1:])
    ]
    return keys[-1] if keys else segment


def _list_item(items: Any, segment: str) -> Any:
    if segment.isdigit():
        return items[int(segment)] if int(segment) < len(items) else MISSING
    named = [item for item in items if isinstance(item, Mapping) and item.get("source") == segment]
    return named[0] if named else MISSING


def holds(expected: Any, actual: Any) -> bool:
    """Whether the value found is what the file expects."""
    if isinstance(expected, str):
        return _text_holds(expected, actual)
    if actual is MISSING:
        return False
    if isinstance(expected, list):
        return (
            isinstance(actual, (list, tuple))
            and len(actual) == len(expected)
            and all(holds(e, a) for e, a in zip(expected, actual, strict=True))
        )
    return _equal(expected, actual)


def _text_holds(expected: str, actual: Any) -> bool:
    if expected == "missing":
        return actual is MISSING or actual is None
    if actual is MISSING:
        return False
    if expected == "present":
        return actual is not None
    if expected.startswith("has:"):
        return _has(expected.removeprefix("has:"), actual)
    if expected.startswith("!="):
        return not _equal(expected.removeprefix("!=").strip(), actual)
    number = _number(actual)
    if found := _COMPARE.fullmatch(expected):
        return number is not None and _OPERATORS[found[1]](number, Decimal(found[2]))
    if found := _RANGE.fullmatch(expected):
        return number is not None and Decimal(found[1]) <= number <= Decimal(found[2])
    return _equal(expected, actual)


def _has(wanted: str, actual: Any) -> bool:
    if isinstance(actual, Mapping):
        return wanted in actual
    if not isinstance(actual, (list, tuple)):
        return False
    return any(
        wanted in (item.get("source"), item.get("name"))
        if isinstance(item, Mapping)
        else str(item) == wanted
        for item in actual
    )


def _equal(expected: Any, actual: Any) -> bool:
    """Equal as text, or as numbers; "" and "none" stand for null."""
    if actual is None:
        return expected in ("", "none", "null")
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual or str(expected).lower() == str(actual).lower()
    if str(expected) == str(actual):
        return True
    left, right = _number(expected), _number(actual)
    return left is not None and left == right


def _number(value: Any) -> Decimal | None:
    """As a number: decimals in texts, lists and tables by their length."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (list, tuple, Mapping)):
        return Decimal(len(value))
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def shown(value: Any) -> Any:
    """What a failure shows of a value."""
    return "missing" if value is MISSING else value
