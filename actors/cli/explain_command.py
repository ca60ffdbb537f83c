"""`holdfast explain`: why it exists, each decision, each fact, in order."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from actors.cli.options import HERE, USAGE, CommandFailed, Json, Place

if TYPE_CHECKING:
    from actors.explain import Step, Story
    from actors.explain_pnl import Arithmetic


def explain(
    name: Annotated[
        str,
        Parameter(
            name="NAME",
            help="A position, an order (ours or the venue's id), a signal, a seq, or a stream.",
        ),
    ],
    /,
    *,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """The whole story of an order, a position, a signal or one event, and its arithmetic.

    Exit code 2 when nothing has this name; the nearest names are given.
    """
    from actors.cli import output
    from actors.cli.database import reading
    from actors.explain import NothingFound
    from actors.explain import explain as tell

    with reading(place.database()) as reader:
        try:
            story = tell(reader, name)
        except NothingFound as problem:
            raise CommandFailed(str(problem), USAGE) from problem
    if json:
        output.print_json(story.document())
    else:
        sys.stdout.write("\n".join(lines_of(story)) + "\n")
    return 0


def lines_of(story: Story) -> list[str]:
    """The story as aligned text: seq, time, what happened; details are indented below."""
    lines = [story.summary, ""]
    if story.causes:
        lines += ["Why:"] + [line for step in story.causes for line in _step(step)] + [""]
        lines.append(f"Its turn ({len(story.steps)} events):")
    lines += [line for step in story.steps for line in _step(step)]
    if story.pnl is not None:
        lines += ["", *_arithmetic(story.pnl)]
    return lines


def _step(step: Step) -> list[str]:
    from fsm.timestamps import iso_utc

    mark = ">" if step.mark else " "
    head = f"{mark}{step.recorded.seq:>7}  {iso_utc(step.recorded.at_us)}  "
    indent = " " * len(head)
    return [head + step.text, *(f"{indent}  {line}" for line in step.lines)]


def _arithmetic(pnl: Arithmetic) -> list[str]:
    document = pnl.document()
    lines = ["Arithmetic, redone from the executions:"]
    width = max((len(line.formula) for line in pnl.lines), default=0)
    for line, plain in zip(pnl.lines, document["lines"], strict=True):
        text = f"{plain['does']:<7}  {plain['qty_delta']} at {plain['price'] or 'no price'}"
        lines.append(
            f" {line.seq:>7}  {text:<40}  {line.formula:<{width}}  fee {plain['fee_quote']}"
        )
    for name in ("recomputed", "booked"):
        figures = document[name]
        if figures is not None:
            lines.append(
                f"  {name:<11} realized {figures['realized_pnl']} - fees {figures['fees']}"
                f" = net {figures['net']}"
            )
    lines.append("  equal" if pnl.equal else "  NOT EQUAL")
    return lines + [f"  {remark}" for remark in pnl.remarks]
