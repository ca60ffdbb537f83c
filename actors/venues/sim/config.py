"""The configuration of a venue process: JSON in, instruments, balances and settings out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

import attrs
import msgspec

from actors.venues.sim.settings import SimSettings
from fsm.instrument import Instrument
from fsm.money import decimal_from


@attrs.frozen(slots=True, kw_only=True)
class SimConfig:
    """`seed` feeds the generator of the latency jitter."""

    instruments: tuple[Instrument, ...]
    balances: dict[str, Decimal] = attrs.Factory(dict)
    settings: SimSettings = attrs.Factory(SimSettings)
    seed: int = 0


def parse_config(text: str) -> SimConfig:
    """A venue configuration from JSON; numbers of money are strings.

    Raises ValueError naming the key: unknown keys are errors and name the nearest one (L12).
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"venue configuration is not JSON: {error}") from None
    _known_keys(document, SimConfig, "venue configuration")
    if not document.get("instruments"):
        raise ValueError("venue configuration: `instruments` is missing or empty")
    for entry in document["instruments"]:
        _known_keys(entry, Instrument, "instruments")
    _known_keys(document.get("settings", {}), SimSettings, "settings")
    _known_keys(document.get("balances", {}), None, "balances")
    balances = {asset: decimal_from(total) for asset, total in document.get("balances", {}).items()}
    try:
        return SimConfig(
            instruments=tuple(
                msgspec.convert(entry, Instrument, strict=True) for entry in document["instruments"]
            ),
            balances=balances,
            settings=msgspec.convert(document.get("settings", {}), SimSettings, strict=True),
            seed=msgspec.convert(document.get("seed", 0), int, strict=True),
        )
    except msgspec.ValidationError as error:
        raise ValueError(f"venue configuration: {error}") from None


def _known_keys(entry: object, kind: type[Any] | None, where: str) -> None:
    if not isinstance(entry, Mapping):
        raise ValueError(f"{where}: expected an object, got {entry!r}")
    if kind is None:
        return
    names = [field.name for field in attrs.fields(kind)]
    for key, value in entry.items():
        if key not in names:
            near = get_close_matches(key, names, n=1, cutoff=0.0)[0]
            raise ValueError(f"{where}: unknown key {key!r}; the nearest is {near!r}")
        if isinstance(value, float):
            raise ValueError(f"{where}.{key}: write numbers of money as strings, not {value!r}")
