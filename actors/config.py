"""Configuration: `holdfast.toml`, the environment and flags, read once into frozen values (L12).

Responsible for reading strictly, for errors that name place, key and remedy, and for saying where
each value comes from. The keys themselves are in `actors.config_keys`; what a strategy's own
parameters mean, its class says; runtime controls are data and not configuration.

Layers, later wins: defaults, file, environment (`HOLDFAST_SECTION__KEY`), overrides by flags or by
a scenario.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import attrs
from attrs import frozen

from actors.config_keys import (
    BackupConfig,
    Config,
    EngineConfig,
    FeedConfig,
    InstrumentConfig,
    JournalConfig,
    KeyPath,
    LanesConfig,
    OrdersConfig,
    ReconcilerConfig,
    RecorderConfig,
    RiskConfig,
    Setting,
    Settings,
    SizerConfig,
    StrategyConfig,
    SupervisionConfig,
    VenueConfig,
)
from actors.config_types import range_text, structured, text_of, type_name
from actors.guards.checks import Problem, conflicts, unknown_names
from actors.toml_lines import line_numbers, line_of
from fsm.instrument import symbol_key

__all__ = [
    "BackupConfig",
    "Config",
    "ConfigError",
    "Effective",
    "EngineConfig",
    "FeedConfig",
    "InstrumentConfig",
    "JournalConfig",
    "LanesConfig",
    "OrdersConfig",
    "ReconcilerConfig",
    "RecorderConfig",
    "Reference",
    "RiskConfig",
    "SizerConfig",
    "StrategyConfig",
    "SupervisionConfig",
    "VenueConfig",
    "config_reference",
    "effective",
    "explain_key",
    "load_config",
    "refuse",
    "with_overrides",
]

FILE_NAME = "holdfast.toml"
ENV_PREFIX = "HOLDFAST_"
DEFAULT = "default"
_SECRET = re.compile(r"secret|token|passw|passphrase|api_?key|private_?key|mnemonic", re.IGNORECASE)


class ConfigError(Exception):
    """One line that says where, which key, what is wrong and what is valid. Exit code 2."""

    exit_code = 2


@frozen
class Reference:
    """One row of the generated reference."""

    key: str
    type: str
    default: str
    about: str
    range: str


@frozen
class Effective:
    """One key with the value in force and where it comes from."""

    key: str
    value: str
    source: str


# -- reading -----------------------------------------------------------------------------------


def load_config(
    path: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Config:
    """Read `path`, or `holdfast.toml` in `directory` when there is one, then the environment.

    Raises ConfigError. A file that was named must exist; without one the paper defaults apply.
    """
    settings: dict[KeyPath, Setting] = {}
    candidate = path if path is not None else (directory or Path()) / FILE_NAME
    if path is not None or candidate.exists():
        settings.update(_read_file(candidate))
    settings.update(_read_environ(os.environ if environ is None else environ, settings))
    return _build(settings)


def with_overrides(
    config: Config, overrides: Mapping[str, Any], source: str, *, together: bool = True
) -> Config:
    """A new configuration with dotted keys replaced; text is read as the key's type.

    `source` is what `effective` and errors will say: a flag, or a scenario file's name. Without
    `together` more keys follow: whether they contradict one another is not looked at yet.
    """
    settings = dict(config.settings)
    for dotted, value in overrides.items():
        settings[_split(dotted)] = Setting(value, source, text=isinstance(value, str))
    return _build(settings, together=together)


def _read_file(path: Path) -> dict[KeyPath, Setting]:
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text + "\n", parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+)", str(error))
        where = f"{path}:{found[1]}" if found else f"{path}"
        raise ConfigError(f"{where}: not valid TOML: {error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not valid TOML: not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    lines = line_numbers(text)
    return {at: Setting(value, f"{path}:{line_of(at, lines)}") for at, value in _flatten(document)}


def _flatten(table: Mapping[str, Any], prefix: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Every key with its path; a table of its own yields its path first, so that none is lost."""
    for name, value in table.items():
        at = (*prefix, name)
        yield at, value
        if isinstance(value, dict) and len(at) < 3 and at not in _plain_keys():
            yield from _flatten(value, at)


def _split(dotted: str) -> KeyPath:
    """`risk.stop_pct`, or `instruments.XRP/RLUSD.min_qty`: a name may hold dots, quoted or not."""
    section, _, rest = dotted.partition(".")
    if section in _TABLES:
        name, _, last = rest.rpartition(".")
        return section, name.strip("\"'"), last
    name, _, last = rest.partition(".")
    if last and (section, name) in _sections():
        return section, name, last
    return (section, rest) if rest else (section,)


def _read_environ(environ: Mapping[str, str], settings: Settings) -> dict[KeyPath, Setting]:
    found: dict[KeyPath, Setting] = {}
    for variable in sorted(environ):
        if not variable.startswith(ENV_PREFIX) or "__" not in variable:
            continue
        parts = variable.removeprefix(ENV_PREFIX).lower().split("__")
        at: KeyPath = tuple(parts)
        if parts[0] in _TABLES and len(parts) == 3:
            known = [path[1] for path in settings if len(path) == 2 and path[0] == parts[0]]
            same = [name for name in known if symbol_key(name) == symbol_key(parts[1])]
            at = (parts[0], same[0] if same else parts[1], parts[2])
        found[at] = Setting(environ[variable], f"env {variable}", text=True)
    return found


# -- checking ----------------------------------------------------------------------------------

_TABLES: Mapping[str, type] = {"strategies": StrategyConfig, "instruments": InstrumentConfig}


@cache
def _sections() -> dict[KeyPath, type]:
    """Each section with its path: a section may hold sections of its own, as `guards` does."""
    hints = get_type_hints(Config)
    found: dict[KeyPath, type] = {}
    for name in attrs.fields_dict(Config):
        if name in _TABLES or name == "settings":
            continue
        found[name,] = hints[name]
        inner = get_type_hints(hints[name])
        found |= {
            (name, part): inner[part]
            for part, at in attrs.fields_dict(hints[name]).items()
            if "about" not in at.metadata
        }
    return found


@cache
def _keys(section: type) -> dict[str, tuple[Any, attrs.Attribute[Any]]]:
    """Key -> (type, attribute), in the order of declaration."""
    hints = get_type_hints(section)
    found = attrs.fields_dict(section)
    return {name: (hints[name], at) for name, at in found.items() if "about" in at.metadata}


def _section_of(at: KeyPath) -> KeyPath:
    """The section that a key belongs to."""
    return at[:2] if at[0] in _TABLES or at[:2] in _sections() else at[:1]


def _value_in(config: Config, section: KeyPath) -> Any:
    value: Any = config
    for name in section:
        value = getattr(value, name)
    return value


def _build(settings: Settings, *, together: bool = True) -> Config:
    for at, setting in settings.items():
        _check_known(at, setting)
    values: dict[str, Any] = {}
    for path, cls in reversed(_sections().items()):
        if len(path) == 2:
            values.setdefault(path[0], {})[path[1]] = _build_section(cls, path, settings)
        else:
            values[path[0]] = _build_section(cls, path, settings, values.get(path[0]))
    for section, cls in _TABLES.items():
        names = dict.fromkeys(at[1] for at in settings if at[0] == section and len(at) > 1)
        values[section] = {n: _build_section(cls, (section, n), settings) for n in names}
    config = Config(settings=dict(settings), **values)
    if together:
        found = [*conflicts(config.guards), *config.sizer.problems()]
        if config.instruments:
            found += unknown_names(config.guards, config.instruments)
        refuse(config, found)
    return config


def refuse(config: Config, found: Iterable[Problem]) -> None:
    """Raise ConfigError for the first value that contradicts another one, and say where it is
    from: its own place, or that of a key of its section."""
    for key, problem in found:
        at = _split(key)
        near = [path for path in config.settings if path[:-1] == at[:-1]]
        given = [config.settings[path].source for path in (at, *near) if path in config.settings]
        raise ConfigError(f"{given[0] if given else DEFAULT}: {key}: {problem}")


def _check_known(at: KeyPath, setting: Setting) -> None:
    dotted, section = ".".join(at), _section_of(at)
    if at[0] not in _TABLES and at[:1] not in _sections():
        nearest = _nearest(at[0], [path[0] for path in _sections()] + list(_TABLES))
        raise ConfigError(f"{setting.source}: {at[0]}: unknown section; did you mean {nearest}?")
    if at == section or len(at) < 2:
        if not isinstance(setting.value, dict):
            raise ConfigError(f"{setting.source}: {dotted}: must be a table")
        return
    if _SECRET.search(at[-1]):
        raise ConfigError(
            f"{setting.source}: {dotted}: secrets do not belong in the configuration; "
            "give them by the environment or in a file with mode 0600"
        )
    known = _keys(_TABLES[at[0]] if at[0] in _TABLES else _sections()[section])
    if len(at) != len(section) + 1 or (at[-1] not in known and at[0] != "strategies"):
        here = [f"{'.'.join(section)}.{name}" for name in known]
        nearest = _nearest(dotted, here if at[0] in _TABLES else _all_keys())
        raise ConfigError(f"{setting.source}: {dotted}: unknown key; did you mean {nearest}?")


@cache
def _plain_keys() -> frozenset[KeyPath]:
    return frozenset((*path, name) for path, cls in _sections().items() for name in _keys(cls))


def _all_keys() -> list[str]:
    return [".".join((*path, name)) for path, cls in _sections().items() for name in _keys(cls)]


def _nearest(wrong: str, valid: list[str]) -> str:
    """The closest valid spelling; a key that is right but in the wrong section comes first."""
    last = wrong.rpartition(".")[2]
    moved = [name for name in valid if name.rpartition(".")[2] == last]
    return (moved or difflib.get_close_matches(wrong, valid, n=1, cutoff=0.0))[0]


def _build_section(
    cls: type, prefix: KeyPath, settings: Settings, inner: Mapping[str, Any] | None = None
) -> Any:
    values: dict[str, Any] = dict(inner or {})
    for name, (kind, attribute) in _keys(cls).items():
        setting = settings.get((*prefix, name))
        if setting is not None:
            values[name] = _read_value(".".join((*prefix, name)), kind, attribute, setting)
        elif attribute.default is attrs.NOTHING:
            source = next(s.source for at, s in settings.items() if at[: len(prefix)] == prefix)
            raise ConfigError(f"{source}: {'.'.join((*prefix, name))}: is missing")
    if cls is StrategyConfig:
        given = {at[2]: s for at, s in settings.items() if at[:2] == prefix and len(at) == 3}
        values["params"] = {n: s.value for n, s in given.items() if n not in _keys(cls)}
    return cls(**values)


def _read_value(dotted: str, kind: Any, at: attrs.Attribute[Any], setting: Setting) -> Any:
    try:
        value = structured(setting.value, kind, text=setting.text)
    except (ValueError, TypeError, ArithmeticError):
        problem = f"must be {type_name(kind)}, not {_shown(setting)}"
        raise ConfigError(f"{setting.source}: {dotted}: {problem}") from None
    low, high, choices = (at.metadata[name] for name in ("low", "high", "choices"))
    if isinstance(value, str) and value.lower() in at.metadata["refused"]:
        problem = at.metadata["refused"][value.lower()]
        raise ConfigError(f"{setting.source}: {dotted}: {problem}")
    if choices and value not in choices:
        nearest = _nearest(str(value), list(choices))
        problem = f"must be one of {', '.join(choices)}, not {value!r}; did you mean {nearest}?"
        raise ConfigError(f"{setting.source}: {dotted}: {problem}")
    amounts = value.values() if isinstance(value, Mapping) else (value,)
    if low is not None and value is not None and not all(low <= one <= high for one in amounts):
        problem = f"must be in {range_text(at)}, not {text_of(value)}"
        raise ConfigError(f"{setting.source}: {dotted}: {problem}")
    return value


def _shown(setting: Setting) -> str:
    value = setting.value
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, Decimal | int):
        return f"the number {value}"
    return f"the text {value!r}" if isinstance(value, str) else f"a {type(value).__name__}"


# -- showing -----------------------------------------------------------------------------------


def config_reference() -> list[Reference]:
    """Every key with type, default, meaning and range, in the order of declaration."""
    rows: list[Reference] = []
    sections = [(".".join(path), cls) for path, cls in _sections().items()]
    for prefix, cls in [*sections, *((f"{n}.NAME", c) for n, c in _TABLES.items())]:
        for name, (kind, at) in _keys(cls).items():
            default = "(required)" if at.default is attrs.NOTHING else text_of(at.default)
            about, bounds = at.metadata["about"], range_text(at)
            rows.append(Reference(f"{prefix}.{name}", type_name(kind), default, about, bounds))
    return rows


def effective(config: Config) -> list[Effective]:
    """Each key's value in force, and its source: default, file:line, env NAME, or a flag."""
    rows: list[Effective] = []
    for path, cls in _sections().items():
        rows += _effective(config, cls, path, _value_in(config, path))
    for section, cls in _TABLES.items():
        for name, value in getattr(config, section).items():
            rows += _effective(config, cls, (section, name), value)
    return rows


def _effective(config: Config, cls: type, prefix: KeyPath, section: Any) -> Iterator[Effective]:
    values = {name: getattr(section, name) for name in _keys(cls)}
    values |= getattr(section, "params", {})
    for name, value in values.items():
        setting = config.settings.get((*prefix, name))
        source = DEFAULT if setting is None else setting.source
        yield Effective(".".join((*prefix, name)), text_of(value), source)


def explain_key(config: Config, dotted: str) -> tuple[Reference | None, Effective]:
    """What a key means and what it is now; a strategy's own parameter has no reference here."""
    rows = {row.key: row for row in effective(config)}
    if dotted not in rows:
        nearest = _nearest(dotted, list(rows))
        raise ConfigError(f"{dotted}: unknown key; did you mean {nearest}?")
    at = _split(dotted)
    general = f"{at[0]}.NAME.{at[2]}" if at[0] in _TABLES else dotted
    return {row.key: row for row in config_reference()}.get(general), rows[dotted]
