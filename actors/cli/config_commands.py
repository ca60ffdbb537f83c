"""`holdfast config`: what is configured, whether it holds, and what one key means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from actors.cli.options import HERE, USAGE, CommandFailed, Json, Place

if TYPE_CHECKING:
    from actors.config import Config

config_app = App(name="config", help="The configuration: values, where they come from, meaning.")


@config_app.command
def show(*, json: Json = False, place: Place = HERE) -> int:
    """Every key with the value in force and where it comes from."""
    from actors.cli import output
    from actors.config import effective, load_config

    found = [
        {"key": row.key, "value": row.value, "source": row.source}
        for row in effective(load_config(place.config))
    ]
    if json:
        output.print_json(found)
    else:
        output.print_table(found, ("key", "value", "source"), empty="Nothing is configured.")
    return 0


@config_app.command
def check(*, json: Json = False, place: Place = HERE) -> int:
    """Read everything strictly: keys, types, ranges, strategies and their parameters.

    Exit code 2 with the place, the key and the remedy when something is wrong.
    """
    from actors.cli import output
    from actors.config import load_config

    config = load_config(place.config)
    check_strategies(config)
    sources = sorted({str(setting.source) for setting in config.settings.values()})
    if json:
        output.print_json({"ok": True, "settings": len(config.settings), "sources": sources})
    else:
        print(f"the configuration is valid: {len(config.settings)} settings, the rest defaults")
    return 0


def check_strategies(config: Config) -> None:
    """Each configured strategy exists, takes its parameters and names a known instrument.

    Raises CommandFailed (2).
    """
    from actors.strategies.registry import StrategyError, build

    for name, section in config.strategies.items():
        at = [s.source for path, s in config.settings.items() if path[:2] == ("strategies", name)]
        where = f"{at[0]}: strategies.{name}"
        try:
            build(name, section.params)
        except StrategyError as problem:
            raise CommandFailed(f"{where}: {problem}", USAGE) from problem
        if config.instruments and section.instrument not in config.instruments:
            known = ", ".join(config.instruments)
            raise CommandFailed(
                f"{where}.instrument: no instrument {section.instrument!r}; there are: {known}",
                USAGE,
            )


@config_app.command
def explain(
    key: Annotated[str, Parameter(help="A key with its section, for example risk.stop_pct.")],
    /,
    *,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """What a key means, its type, default and range, its value, and where that comes from."""
    from actors.cli import output
    from actors.config import explain_key, load_config

    reference, now = explain_key(load_config(place.config), key)
    document = {
        "key": now.key,
        "value": now.value,
        "source": now.source,
        "about": reference.about if reference else "a parameter of the strategy's own class",
        "type": reference.type if reference else None,
        "default": reference.default if reference else None,
        "range": (reference.range or None) if reference else None,
        "environment": environment_name(now.key),
    }
    if json:
        output.print_json(document)
    else:
        output.print_fields(now.key, [(k, v) for k, v in document.items() if k != "key"])
    return 0


def environment_name(key: str) -> str:
    """The variable that overrides a key."""
    section, _, rest = key.partition(".")
    name, _, last = rest.rpartition(".")
    parts = [section, name, last] if name else [section, last]
    return "HOLDFAST_" + "__".join(part.upper() for part in parts)
