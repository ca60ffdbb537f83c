"""`holdfast fsm`: the state machines as files, and the proof that those files are current.

Responsible for reading and writing; what a machine looks like is `fsm.diagram`'s business. Data
goes to standard output and nothing else does. Exit codes: 0 done, 1 something differs, 2 wrong
usage, 4 a file cannot be read or written, or there is nothing to draw SVG with.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from fsm import diagram
from fsm.compiled import Table
from fsm.machine import Definition
from fsm.mode import DEFINITION as MODE
from fsm.mode import TABLE as MODE_TABLE
from fsm.order import DEFINITION as ORDER
from fsm.order import TABLE as ORDER_TABLE
from fsm.position import DEFINITION as POSITION
from fsm.position import TABLE as POSITION_TABLE

DOCS = Path("docs/fsm")
INDEX = "README.md"

fsm_app = App(name="fsm", help="The state machines: export them, and check what is exported.")


class DiagramFormat(StrEnum):
    """What an exported machine is written as."""

    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"
    JSON = "json"
    MARKDOWN = "markdown"


class MachineName(StrEnum):
    """The machines that there are."""

    ORDER = "order"
    POSITION = "position"
    MODE = "mode"


MACHINES: Mapping[MachineName, tuple[Definition, Table]] = {
    MachineName.ORDER: (ORDER, ORDER_TABLE),
    MachineName.POSITION: (POSITION, POSITION_TABLE),
    MachineName.MODE: (MODE, MODE_TABLE),
}
WRITERS: Mapping[DiagramFormat, tuple[str, Callable[[Definition], str]]] = {
    DiagramFormat.MARKDOWN: ("md", diagram.to_markdown),
    DiagramFormat.MERMAID: ("mmd", diagram.to_mermaid),
    DiagramFormat.DOT: ("dot", diagram.to_dot),
    DiagramFormat.SVG: ("svg", diagram.to_svg),
    DiagramFormat.JSON: ("json", diagram.to_json),
}


@fsm_app.command
def export(
    *,
    format: Annotated[DiagramFormat | None, Parameter(name="--format")] = None,  # noqa: A002
    machine: MachineName | None = None,
    out: Path | None = None,
) -> int:
    """Write the state machines as diagrams, tables or data.

    Parameters
    ----------
    format
        mermaid, dot, svg, json or markdown. Without it: mermaid on standard output, and every
        format (with an index, when all machines are written) into `--out`.
    machine
        order, position or mode; all three without it.
    out
        Folder for one file a machine and format; it is made when it is missing.
    """
    chosen = [machine] if machine else list(MachineName)
    try:
        if out is None:
            sys.stdout.write(printed(chosen, format or DiagramFormat.MERMAID))
            return 0
        return _export_into(out, chosen, format)
    except diagram.SvgUnavailable as error:
        return _failed(f"{error}, or use another --format", 4)


def printed(chosen: list[MachineName], format: DiagramFormat) -> str:  # noqa: A002
    """The machines one after another; as JSON always one document: a list when they are several.

    Raises SvgUnavailable.
    """
    definitions = [MACHINES[name][0] for name in chosen]
    if format is DiagramFormat.JSON and len(definitions) > 1:
        documents = [diagram.as_document(definition) for definition in definitions]
        return json.dumps(documents, indent=2, ensure_ascii=False) + "\n"
    return "\n".join(WRITERS[format][1](definition) for definition in definitions)


def _export_into(
    out: Path,
    chosen: list[MachineName],
    format: DiagramFormat | None,  # noqa: A002
) -> int:
    formats = [format] if format else list(DiagramFormat)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in chosen:
            for kind in formats:
                _write_one(out, name, kind, alone=format is not None)
        if format is None and len(chosen) == len(MACHINES):
            _write(out / INDEX, _index())
    except OSError as error:
        return _failed(f"cannot write to {out}: {error.strerror}; choose another --out", 4)
    return 0


def _write_one(out: Path, name: MachineName, kind: DiagramFormat, *, alone: bool) -> None:
    extension, writer = WRITERS[kind]
    try:
        text = writer(MACHINES[name][0])
    except diagram.SvgUnavailable as error:
        if alone:
            raise
        print(f"{name}.{extension} not written: {error}", file=sys.stderr)
    else:
        _write(out / f"{name}.{extension}", text)


def _write(path: Path, text: str) -> None:
    # Bytes, so that no platform's line ends make the same machine look different.
    path.write_bytes(text.encode("utf-8"))


def _index() -> str:
    return diagram.to_index(definition for definition, _ in MACHINES.values())


@fsm_app.command
def check(*, dir: Path = DOCS) -> int:  # noqa: A002
    """Prove that the exported files equal the code, and the compiled tables their machines.

    Parameters
    ----------
    dir
        The folder that `holdfast fsm export --out` wrote.
    """
    wrong = [fault for name in MACHINES for fault in table_faults(*MACHINES[name])]
    try:
        faults, notes, files = file_faults(dir)
    except OSError as error:
        return _failed(f"cannot read {error.filename}: {error.strerror}", 4)
    for line in [*notes, *wrong, *faults]:
        print(line, file=sys.stderr)
    if faults:
        print(f"run `holdfast fsm export --out {dir}`, then look at the diff", file=sys.stderr)
    if wrong or faults:
        return 1
    print(f"{files} files in {dir} equal the code; {len(MACHINES)} tables equal their machines")
    return 0


def file_faults(folder: Path) -> tuple[list[str], list[str], int]:
    """What is missing or differs, what could not be compared in full, and how many files hold.

    Raises OSError for a file that is there and cannot be read.
    """
    faults: list[str] = []
    notes: list[str] = []
    known: set[str] = set()
    for file_name, expected, mark in _expected_files():
        path = folder / file_name
        known.add(file_name)
        if not path.is_file():
            faults.append(f"{path}: missing")
            continue
        actual = path.read_bytes().decode("utf-8", errors="replace")
        if expected is None:
            notes.append(f"{path}: only its mark is compared, there is nothing to draw SVG with")
        if actual != expected if expected is not None else not actual.endswith(f"{mark}\n"):
            faults.append(f"{path}: differs from the code")
    # A machine that was renamed or removed must not live on as a page.
    stray = [path for path in sorted(folder.glob("*")) if path.name not in known]
    faults += [f"{p}: no machine is exported to it; remove it" for p in stray if _is_ours(p)]
    return faults, notes, len(known)


def _is_ours(path: Path) -> bool:
    return path.suffix.removeprefix(".") in {extension for extension, _ in WRITERS.values()}


def _expected_files() -> Iterator[tuple[str, str | None, str]]:
    """File name, its text (None: it cannot be made here) and the mark that its text ends with."""
    for name, (definition, _) in MACHINES.items():
        for extension, writer in WRITERS.values():
            try:
                text: str | None = writer(definition)
            except diagram.SvgUnavailable:
                text = None
            yield f"{name}.{extension}", text, diagram.svg_mark(diagram.to_dot(definition))
    yield INDEX, _index(), ""


def table_faults(definition: Definition, table: Table) -> list[str]:
    """Pull every trigger in every state under every guard on the `transitions` machine itself.

    One line for each case in which the compiled table answers otherwise.
    """
    machine, model = definition.build()
    faults = []
    for info in definition.states:
        for trigger in definition.kinds:
            for guard in definition.cases(trigger):
                machine.set_state(str(info.name))
                model.hold(definition.all_guards, guard)
                pull = machine.events.get(trigger)
                target = None
                if pull is not None and machine.get_transitions(trigger, str(info.name)):
                    moved = pull.trigger(model)
                    target = model.state if moved else None
                compiled = table.moves.get((info.name, trigger, guard))
                if compiled != target:
                    case = f"{definition.name}: {info.name}, {trigger} [{guard}]"
                    faults.append(f"{case}: the machine says {target}, the table {compiled}")
    return faults


def _failed(message: str, code: int) -> int:
    print(f"holdfast fsm: {message}", file=sys.stderr)
    return code
