"""The house rules, enforced over the source tree (CONTRIBUTING.md, L10, L11).

Each rule is a function from one source to its offences, and each has a snippet that proves that it
fires. An exception to a rule is one line in `PLACES`, where a reviewer sees it.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import frozen

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("actors", "storage", "fsm")  # imports point to the right
CORE = ("fsm/", "actors/entities/", "actors/strategies/")
MONEY = ("fsm/", "storage/ledger", "storage/capital", "actors/entities/")
MODULE_LINES_MAX = 450
FUNCTION_LINES_MAX = 75

#: Where what is refused elsewhere has its one place.
PLACES: dict[str, tuple[str, ...]] = {
    "wall clock": ("actors/runtime/clock.py", "storage/time.py"),
    "monotonic clock": ("actors/runtime/clock.py", "storage/"),
    "entropy": ("actors/runtime/ids.py",),
    "threads": ("storage/", "actors/alerts", "actors/recording/recorder", "actors/runtime/portal"),
    "trio internals": ("actors/chaos/",),
}


@frozen
class Source:
    """One module: its path from the root with forward slashes, and its text."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    def within(self, *prefixes: str) -> bool:
        return self.path.startswith(prefixes)


def sources() -> list[Source]:
    found = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [Source(p.relative_to(ROOT).as_posix(), p.read_text(encoding="utf-8")) for p in found]


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that is imported, at any depth of the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


# -- rules -------------------------------------------------------------------------------------

Rule = Callable[[Source], Iterator[str]]

IO_MODULES = set(
    re.findall(
        r"\w+",
        "anyio asyncio concurrent http io loguru multiprocessing os pathlib random secrets select "
        "shutil socket sqlite3 sqlite_utils ssl subprocess tempfile threading time trio urllib "
        "uuid",
    )
)


def imports_point_one_way(source: Source) -> Iterator[str]:
    """`actors -> storage -> fsm`; nothing of ours imports the tests."""
    here = source.path.partition("/")[0]
    above = {*PACKAGES[: PACKAGES.index(here)], "tests"}
    for line, name in imported(source.tree):
        if name.partition(".")[0] in above:
            yield f"{line}: {here} must not import {name}"


def the_core_does_no_io(source: Source) -> Iterator[str]:
    if source.within("fsm/", "actors/entities/"):
        for line, name in imported(source.tree):
            if name.partition(".")[0] in IO_MODULES:
                yield f"{line}: imports {name}; time, ids and data come in with the message (L10)"


WALL = re.compile(r"(^|\.)(time\.time(_ns)?|(datetime|date)\.(now|utcnow|today)|time\.gmtime)$")
MONOTONIC = re.compile(r"(^|\.)time\.(monotonic|perf_counter|process_time)(_ns)?$")
WALL_NAMES = {"time.time", "time.time_ns"}
MONOTONIC_NAMES = {"time.monotonic", "time.perf_counter", "time.monotonic_ns"}


def clocks_are_read_in_one_place(source: Source) -> Iterator[str]:
    """Also as a value (`clock=time.time`), and when imported by name."""
    uses = [(n.lineno, ast.unparse(n)) for n in ast.walk(source.tree) if type(n) is ast.Attribute]
    for line, name in [*uses, *imported(source.tree)]:
        if WALL.search(name) or name in WALL_NAMES:
            allowed = source.within(*PLACES["wall clock"])
        elif MONOTONIC.search(name) or name in MONOTONIC_NAMES:
            allowed = source.within(*PLACES["monotonic clock"])
        else:
            continue
        if not allowed or source.within(*CORE):
            yield f"{line}: reads {name}; take the injected clock"


def chance_has_a_seed(source: Source) -> Iterator[str]:
    """`random.Random(seed)` only; no uuid4, no secrets, no urandom outside of their place."""
    if source.within(*PLACES["entropy"]):
        return
    for call, name in calls(source.tree):
        last = name.rpartition(".")[2]
        seeded = last == "Random" and (call.args or call.keywords)
        if (re.fullmatch(r"random\.\w+", name) and not seeded) or last in (
            "uuid1",
            "uuid4",
            "urandom",
        ):
            yield f"{call.lineno}: {name}() without a seed"
        elif name == "Random" and not seeded:
            yield f"{call.lineno}: Random() without a seed"
        elif name.startswith("secrets.") and source.within(*CORE):
            yield f"{call.lineno}: {name}() in the deterministic core"
    for line, name in imported(source.tree):
        if name.startswith("random.") and name != "random.Random":
            yield f"{line}: imports {name}, which has no seed"


def the_core_never_iterates_over_a_set(source: Source) -> Iterator[str]:
    if not source.within(*CORE):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.For | ast.comprehension):
            over = node.iter
            named = isinstance(over, ast.Call) and ast.unparse(over.func) in ("set", "frozenset")
            if named or isinstance(over, ast.Set | ast.SetComp):
                yield f"{over.lineno}: iterates over a set, whose order is not ours (L10)"


THREADS = re.compile(
    r"(^|\.)(threading|_thread|to_thread|ThreadPoolExecutor|start_blocking_portal)(\.|$)"
)


def threads_have_named_places(source: Source) -> Iterator[str]:
    if source.within(*PLACES["threads"]):
        return
    uses = [(n.lineno, ast.unparse(n)) for n in ast.walk(source.tree) if type(n) is ast.Attribute]
    for line, name in {*uses, *imported(source.tree)}:
        if THREADS.search(name):
            yield f"{line}: {name}; threads live in {', '.join(PLACES['threads'])}"


BROAD = re.compile(r"\b(Base)?Exception(Group)?\b")
RECORDS = re.compile(
    r"(^|\.)(logger|log|_log)\.|"
    r"(record|journal|poison|unprocessed|quarantine|degrade|alert|report|fail)\w*$"
)


def nothing_is_swallowed(source: Source) -> Iterator[str]:
    """A broad except re-raises, records or keeps the exception; `suppress` can do none."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = "" if node.type is None else ast.unparse(node.type)
            body = [inner for statement in node.body for inner in ast.walk(statement)]
            raises = any(isinstance(inner, ast.Raise) for inner in body)
            records = any(RECORDS.search(name) for s in node.body for _, name in calls(s))
            keeps = any(
                isinstance(inner, ast.Assign)
                and isinstance(inner.targets[0], ast.Attribute)
                and ast.unparse(inner.value) == node.name
                for inner in body
            )
            if (not caught or BROAD.search(caught)) and not (raises or records or keeps):
                yield f"{node.lineno}: except {caught or '(bare)'} neither re-raises nor records"
    for call, name in calls(source.tree):
        if name.endswith("suppress") and any(BROAD.search(ast.unparse(a)) for a in call.args):
            yield f"{call.lineno}: {ast.unparse(call)} swallows everything"


def money_is_decimal(source: Source) -> Iterator[str]:
    if not source.within(*MONEY):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield f"{node.lineno}: float literal {node.value} (L11)"
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "float":
            yield f"{node.lineno}: float() (L11)"


def modules_say_what_they_are_for(source: Source) -> Iterator[str]:
    if source.text.strip() and not ast.get_docstring(source.tree):
        yield "1: no module docstring"
    if not source.text.strip() and not source.path.endswith("__init__.py"):
        yield "1: an empty module"


def public_names_have_docstrings(source: Source) -> Iterator[str]:
    """Classes and functions of fsm and storage: meaning, units, errors."""
    if not source.within("fsm/", "storage/"):
        return
    for node in source.tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            overload = any(ast.unparse(d).endswith("overload") for d in node.decorator_list)
            if not (node.name.startswith("_") or overload or ast.get_docstring(node)):
                yield f"{node.lineno}: {node.name} has no docstring"


def modules_and_functions_are_short(source: Source) -> Iterator[str]:
    if (lines := len(source.text.splitlines())) > MODULE_LINES_MAX:
        yield f"1: {lines} lines; at most {MODULE_LINES_MAX}: split it by responsibility"
    for node in functions(source.tree):
        if (length := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES_MAX:
            yield f"{node.lineno}: {node.name} has {length} lines; at most {FUNCTION_LINES_MAX}"


NAMELESS = re.compile(r"(^|[/_])(utils?|helpers?|managers?|common|misc)([/_.]|$)")


def modules_have_real_names(source: Source) -> Iterator[str]:
    if NAMELESS.search(source.path):
        yield "1: name the module for what it is responsible for"


def hypothesis_stays_in_the_tests(source: Source) -> Iterator[str]:
    for line, name in imported(source.tree):
        if name.partition(".")[0] in ("hypothesis", "pytest"):
            yield f"{line}: imports {name}; it changes trio's scheduling"


TRIO_INTERNALS = re.compile(r"^trio\.(\w+\.)*_[a-z]")


def touches_trio_internals(source: Source) -> bool:
    uses = (ast.unparse(n) for n in ast.walk(source.tree) if type(n) is ast.Attribute)
    names = [*uses, *(name for _, name in imported(source.tree))]
    return any(TRIO_INTERNALS.search(name) for name in names)


def trio_internals_have_one_place(source: Source) -> Iterator[str]:
    if touches_trio_internals(source) and not source.within(*PLACES["trio internals"]):
        yield "1: touches trio's private names"


RULES: list[Rule] = [
    imports_point_one_way,
    the_core_does_no_io,
    clocks_are_read_in_one_place,
    chance_has_a_seed,
    the_core_never_iterates_over_a_set,
    threads_have_named_places,
    nothing_is_swallowed,
    money_is_decimal,
    modules_say_what_they_are_for,
    public_names_have_docstrings,
    modules_and_functions_are_short,
    modules_have_real_names,
    hypothesis_stays_in_the_tests,
    trio_internals_have_one_place,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_keeps_the_rule(rule: Rule) -> None:
    offences = [f"{source.path}:{offence}" for source in sources() for offence in rule(source)]
    assert not offences, "\n".join(["", *sorted(offences)])


def test_at_most_one_module_touches_trio_internals() -> None:
    assert len([source.path for source in sources() if touches_trio_internals(source)]) <= 1


SWALLOWED = "try:\n    f()\nexcept {}:\n    x = 1\n"
LONG = "def f():\n" + "    x = 1\n" * FUNCTION_LINES_MAX


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (imports_point_one_way, "storage/a.py", "from actors.config import Config"),
        (imports_point_one_way, "fsm/a.py", "def f():\n    import storage.journal"),
        (imports_point_one_way, "actors/a.py", "from tests import conftest"),
        (the_core_does_no_io, "fsm/a.py", "from pathlib import Path"),
        (the_core_does_no_io, "actors/entities/a.py", "import trio"),
        (clocks_are_read_in_one_place, "actors/a.py", "import time\nx = time.time()"),
        (clocks_are_read_in_one_place, "actors/a.py", "from time import monotonic"),
        (clocks_are_read_in_one_place, "actors/a.py", "f(clock=time.time_ns)"),
        (clocks_are_read_in_one_place, "storage/a.py", "x = datetime.datetime.now(UTC)"),
        (clocks_are_read_in_one_place, "actors/a.py", "x = time.perf_counter()"),
        (clocks_are_read_in_one_place, "fsm/a.py", "x = datetime.utcnow()"),
        (chance_has_a_seed, "actors/strategies/a.py", "x = random.random()"),
        (chance_has_a_seed, "actors/a.py", "x = random.Random()"),
        (chance_has_a_seed, "actors/a.py", "from random import choice"),
        (chance_has_a_seed, "actors/a.py", "x = uuid.uuid4()"),
        (chance_has_a_seed, "fsm/a.py", "x = secrets.token_hex()"),
        (the_core_never_iterates_over_a_set, "fsm/a.py", "for x in {'a', 'b'}:\n    f(x)"),
        (the_core_never_iterates_over_a_set, "fsm/a.py", "x = [y for y in set(z)]"),
        (threads_have_named_places, "actors/a.py", "import threading"),
        (
            threads_have_named_places,
            "actors/a.py",
            "async def f():\n    trio.to_thread.run_sync(g)",
        ),
        (nothing_is_swallowed, "actors/a.py", SWALLOWED.format("Exception")),
        (nothing_is_swallowed, "actors/a.py", SWALLOWED.format("(OSError, BaseException) as e")),
        (nothing_is_swallowed, "actors/a.py", SWALLOWED.replace(" {}", "")),
        (nothing_is_swallowed, "actors/a.py", "with suppress(Exception):\n    f()"),
        (money_is_decimal, "fsm/a.py", "x = 0.5"),
        (money_is_decimal, "storage/ledger_fold.py", "x = float(y)"),
        (modules_say_what_they_are_for, "actors/a.py", "x = 1"),
        (modules_say_what_they_are_for, "actors/a.py", ""),
        (public_names_have_docstrings, "fsm/a.py", "class A:\n    x = 1"),
        (public_names_have_docstrings, "storage/a.py", "async def f(): ..."),
        (modules_and_functions_are_short, "actors/a.py", LONG),
        (modules_and_functions_are_short, "actors/a.py", "\n" * (MODULE_LINES_MAX + 1)),
        (modules_have_real_names, "actors/order_utils.py", ""),
        (modules_have_real_names, "actors/common/a.py", ""),
        (hypothesis_stays_in_the_tests, "actors/chaos/a.py", "from hypothesis import given"),
        (trio_internals_have_one_place, "actors/a.py", "from trio._core import _run"),
        (trio_internals_have_one_place, "actors/a.py", "trio._core._run._r.seed(1)"),
    ],
)
def test_the_rule_fires(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source(path, text)))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("actors/a.py", "'''A.'''\nfrom fsm.money import ZERO\nfrom storage import journal"),
        ("actors/a.py", "'''A.'''\nimport random\nx = random.Random(7).random()"),
        ("actors/runtime/clock.py", "'''A.'''\nimport time\nx = time.time()"),
        ("storage/a.py", "'''A.'''\nimport threading\nx = threading.Lock()"),
        ("actors/a.py", "'''A.'''\n" + SWALLOWED.replace("x = 1", "raise").format("Exception")),
        (
            "actors/a.py",
            "'''A.'''\n" + SWALLOWED.replace("x = 1", "logger.error('X')").format("Exception"),
        ),
        ("actors/a.py", "'''A.'''\n" + SWALLOWED.format("OSError")),
        (
            "actors/a.py",
            "'''A.'''\n" + SWALLOWED.format("Exception as e").replace("x = 1", "s.failed = e"),
        ),
        ("actors/chaos/a.py", "'''A.'''\nfrom trio._core import _run"),
        ("actors/uncommon.py", "'''A.'''"),
        ("actors/__init__.py", ""),
    ],
)
def test_what_is_right_passes_every_rule(path: str, text: str) -> None:
    assert [] == [offence for rule in RULES for offence in rule(Source(path, text))]


# -- text --------------------------------------------------------------------------------------

#: Split, so that this file does not match itself.
INDEX_HOSTS = re.compile(
    "|".join(["pyp" + r"i\.org", "python" + r"hosted\.org", "pyp" + r"i\.python"])
)
DEVELOPER_PATHS = re.compile(
    r"(?<![\w.$}\])])/(?:" + "|".join(["wo" + "rk", "ro" + "ot", "ho" + "me"]) + ")/"
)
LOCK_LINE = re.compile(r"#.*|[a-z0-9-]+==[\w.]+ \\|    --hash=sha256:[0-9a-f]{64}(?: \\)?|    #.*|")


def tree_files() -> list[Path]:
    """Everything that is or would be committed."""
    command = ["git", "ls-files", "-z", "-co", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def offending_text(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if INDEX_HOSTS.search(line):
            yield f"{number}: names the host of a package index"
        if DEVELOPER_PATHS.search(line):
            yield f"{number}: a path of one developer's machine"


def offending_lock(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if not LOCK_LINE.fullmatch(line) or "://" in line:
            yield f"{number}: only pinned names with hashes belong in a lock file: {line}"


def test_no_file_names_an_index_or_a_developers_machine() -> None:
    offences: list[str] = []
    for path in tree_files():
        raw = path.read_bytes()
        if b"\0" not in raw:
            found = offending_text(raw.decode("utf-8", errors="replace"))
            offences += [f"{path.relative_to(ROOT)}:{offence}" for offence in found]
    assert not offences, "\n".join(["", *offences])


LOCKS = ["requirements.lock", "requirements-dev.lock", "requirements-bench.lock"]
"""Each pins what the one before it pins, and more."""


@pytest.mark.parametrize("name", LOCKS)
def test_lock_files_hold_pinned_names_and_hashes_only(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not list(offending_lock(text))
    assert text.count("==") <= text.count("--hash=sha256:")


def test_each_lock_pins_what_the_one_before_it_pins() -> None:
    pins = [
        set(re.findall(r"^[a-z0-9-]+==[\w.]+", (ROOT / name).read_text(encoding="utf-8"), re.M))
        for name in LOCKS
    ]
    assert pins[0] < pins[1] < pins[2]


@pytest.mark.parametrize(
    "script", ["scripts/run", "scripts/test", "scripts/lint", "scripts/bench", ".ci/run"]
)
def test_scripts_are_executable_and_strict(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111
    assert "\nset -euo pipefail\n" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "text",
    [
        "see https://pyp" + "i.org/simple",
        "cd /ro" + "ot/x",
        "'/wo" + "rk/main'",
        "a=/ho" + "me/me/x",
    ],
)
def test_the_text_rule_fires(text: str) -> None:
    assert list(offending_text(text))


@pytest.mark.parametrize("text", ["https://example.net/home/x", "net" + "work/x", "$HOME/x"])
def test_the_text_rule_lets_pass(text: str) -> None:
    assert not list(offending_text(text))


@pytest.mark.parametrize(
    "text", ["--index-url x", "a==1 @ https://x", "a>=1", "--find-links x", "# via https://x"]
)
def test_the_lock_rule_fires(text: str) -> None:
    assert list(offending_lock(text))
