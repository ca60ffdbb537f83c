"""The control socket: private, line by line, and nobody who is slow or rude holds it up."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.runtime import control_socket
from actors.runtime.control_socket import ControlUnavailable, ask, serve, socket_path


async def echo(request: dict[str, Any]) -> dict[str, Any]:
    return {"ok": True, "echo": request}


async def until_it_listens(path: Path) -> None:
    with trio.fail_after(5):
        while not path.exists() or not stat.S_ISSOCK(path.stat().st_mode):
            await trio.lowlevel.checkpoint()
        await wait_all_tasks_blocked()


async def said(path: Path, line: bytes) -> bytes:
    with trio.fail_after(5):
        async with await trio.open_unix_socket(path) as stream:
            await stream.send_all(line)
            return bytes(await stream.receive_some())


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@pytest.fixture
async def served(nursery: trio.Nursery, database: Path) -> Path:
    nursery.start_soon(serve, database, echo)
    await until_it_listens(socket_path(database))
    return socket_path(database)


async def test_the_socket_is_its_owners_alone(served: Path) -> None:
    assert 0o600 == stat.S_IMODE(served.stat().st_mode)


async def test_a_question_gets_its_answer(served: Path, database: Path) -> None:
    answer = await trio.to_thread.run_sync(ask, database, {"command": "x"})

    assert {"ok": True, "echo": {"command": "x"}} == answer


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b"[1]\n", b"\xff\xfe\n", b"\n", b"[" * 60_000 + b"\n"]
)
async def test_nonsense_is_answered_and_the_next_client_is_served(
    served: Path, line: bytes
) -> None:
    answer = json.loads(await said(served, line))

    assert answer["ok"] is False
    assert "not a request" in answer["error"]
    assert b"true" in await said(served, b"{}\n")


async def test_a_line_without_an_end_is_cut_off(served: Path) -> None:
    with trio.fail_after(5):
        async with await trio.open_unix_socket(served) as stream:
            with pytest.raises(trio.BrokenResourceError):
                await stream.send_all(b"x" * 16_000_000)
    assert b"true" in await said(served, b"{}\n")


async def test_a_silent_client_holds_nobody_up(served: Path) -> None:
    async with await trio.open_unix_socket(served):
        await wait_all_tasks_blocked()
        assert b"true" in await said(served, b"{}\n")


async def test_a_client_that_leaves_before_its_answer_harms_nobody(
    nursery: trio.Nursery, database: Path
) -> None:
    gone = trio.Event()

    async def slow(request: dict[str, Any]) -> dict[str, Any]:
        if request:
            await gone.wait()
        return {"ok": True}

    nursery.start_soon(serve, database, slow)
    path = socket_path(database)
    await until_it_listens(path)
    async with await trio.open_unix_socket(path) as stream:
        await stream.send_all(b'{"a": 1}\n')
        await wait_all_tasks_blocked()
    gone.set()
    assert b"true" in await said(path, b"{}\n")


async def test_a_socket_that_a_killed_process_left_is_replaced(
    nursery: trio.Nursery, database: Path
) -> None:
    path = socket_path(database)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with pytest.raises(ControlUnavailable):
        ask(database, {})
    nursery.start_soon(serve, database, echo)
    await wait_all_tasks_blocked()
    assert b"true" in await said(path, b"{}\n")


async def test_a_long_path_gets_a_short_socket_that_both_sides_find(
    nursery: trio.Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = tmp_path / "s"
    short.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(short))
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    nursery.start_soon(serve, folder / "x.db", echo)
    private = short / f"holdfast-{folder.stat().st_uid}"
    with trio.fail_after(5):
        while not private.exists() or not list(private.iterdir()):
            await trio.lowlevel.checkpoint()
        await wait_all_tasks_blocked()

    assert 0o700 == stat.S_IMODE(private.stat().st_mode)
    answer = await trio.to_thread.run_sync(ask, folder / "x.db", {"n": 1})
    assert {"n": 1} == answer["echo"]


async def test_the_socket_goes_with_its_service(database: Path) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, database, echo)
        await until_it_listens(socket_path(database))
        nursery.cancel_scope.cancel()

    assert not socket_path(database).exists()


def test_nobody_there_is_said_in_one_line(database: Path) -> None:
    with pytest.raises(ControlUnavailable, match="no service answers"):
        ask(database, {})
    assert control_socket.socket_path(database).name == "x.db.sock"
