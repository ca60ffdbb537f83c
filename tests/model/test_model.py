"""Every interleaving of one order's life, up to a stated scope, breaks no law."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from loguru import logger

from tests.model.explore import Explorer
from tests.model.laws import business
from tests.model.mutations import MUTATIONS, Mutation
from tests.model.scopes import QUICK, SMALL
from tests.model.steps import Scope, Step, beginning, perform

#: Fewer states than this: something that should be explored no longer happens.
_STATES_MIN = {
    "calm": 700,
    "cancelled by the engine": 500,
    "killed": 3000,
    "cancelled": 400,
    "cancelled by the engine, slowly": 3400,
    "partial fills": 5000,
    "commits take time": 1900,
    "inferred fills": 1300,
    "failing queries": 1600,
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logger.disable("actors")
    yield
    logger.enable("actors")


@pytest.mark.slow
@pytest.mark.parametrize("scope", [*QUICK, *SMALL], ids=lambda scope: scope.name)
def test_no_interleaving_breaks_a_law(scope: Scope) -> None:
    report = Explorer(scope).run()
    assert ([], []) == (report.violations, report.path)
    assert report.exhausted
    assert report.states >= _STATES_MIN[scope.name], report


def test_the_first_thousand_interleavings_break_no_law() -> None:
    """A taste of it for every run; the whole is slow."""
    scope = Scope("taste", QUICK[1].budget)
    report = Explorer(scope, states_max=1_000).run()
    assert ([], []) == (report.violations, report.path)
    assert report.depth >= 6


@pytest.mark.parametrize(
    ("mutation", "scope"), MUTATIONS, ids=[mutation.__name__ for mutation, _ in MUTATIONS]
)
def test_the_exploration_finds_a_deliberate_defect(
    monkeypatch: pytest.MonkeyPatch, mutation: Mutation, scope: Scope
) -> None:
    mutation(monkeypatch)
    report = Explorer(scope, states_max=20_000).run()
    assert report.violations, report
    assert report.path[0].startswith("place the order")


def test_an_answer_that_nobody_waits_for_changes_nothing() -> None:
    """What the exploration leaves out: answers to queries that were given up."""
    core, network = beginning(Scope("late answers", QUICK[0].budget))
    for what, on in (("place the order", ""), ("venue accepts", ""), ("time passes", "")):
        core, network = perform(core, network, Step(what, on))
    given_up = [query for query, _ in network.queries]
    assert given_up
    core, network = perform(core, network, Step("time passes"))
    assert not {q.request_id for q in given_up} & {q.request_id for q, _ in network.queries}
    before = business(core), core.books.reconciler.current
    for query in given_up:
        core.hear(network.answer(query))
    assert before == (business(core), core.books.reconciler.current)
