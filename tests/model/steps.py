"""What may happen next, and doing it: a step of engine, venue, network, people or time."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from attrs import evolve, frozen

from actors import messages as msg
from actors.world import Rules
from fsm.order import TERMINAL
from fsm.requests import QueryOrder
from fsm.vocabulary import OrderRole, OrderType, Side
from tests.model.core import COARSE, ORDER, PAIR, START_US, Core, Killed, MemoryJournal
from tests.model.venue import PRICE, QTY, UNBOUNDED, Budget, Network, unavailable

OPERATOR = "operator_test"
_ANSWER, _STALE, _FORGETS = "answer", "stale answer", "answer of a venue that forgets"


@frozen
class Step:
    """One thing that happens. `dies` says at which commit of it the process is killed."""

    what: str
    on: str = ""
    age: int = 0
    dies: tuple[int, bool] | None = None

    def __str__(self) -> str:
        text = f"{self.what} {self.on}".strip()
        text += f" as of {self.age} changes ago" if self.age else ""
        if self.dies is None:
            return text
        number, through = self.dies
        return f"{text}; KILLED {'after' if through else 'before'} commit {number} of it, restarted"


@frozen
class Scope:
    """What is explored: the budgets of a path, and whether commits take their time."""

    name: str
    budget: Budget
    rules: Rules = COARSE
    commits_at_once: bool = True


def beginning(scope: Scope) -> tuple[Core, Network]:
    """An engine that has passed its gate, on books that equal the venue's; nothing placed yet."""
    core = Core(MemoryJournal(), START_US, 0, scope.rules)
    network = Network(budget=scope.budget)
    core.start()
    network = serve(core, network)
    assert core.world.mode == "ACTIVE", core.world.mode
    core.journal.commits_at_once = scope.commits_at_once
    return core, network


def serve(core: Core, network: Network) -> Network:
    """The venue answers everything truthfully and at once, and its stream loses nothing."""
    for _ in range(200):
        while core.journal.pending:
            core.journal.commit()
            core.settle()
        network = _took(core, network)
        now_us = core.clock.now_us()
        if network.submit_until_us is not None:
            network = network.submit_arrives(now_us, rejects=False)
        elif network.cancel_until_us is not None:
            network = network.cancel_arrives(now_us)
        elif network.facts:
            label = network.facts[0]
            core.hear(network.fact(label))
            network = network.without(label)
        elif network.queries:
            query = network.queries[0][0]
            core.hear(network.answer(query))
            network = _answered(network, query.request_id)
        else:
            return network
    raise AssertionError("the engine goes on asking without end")


def _took(core: Core, network: Network) -> Network:
    """What left is on its way; what nobody waits for any more is left out, a test of its own shows
    that a late answer changes nothing."""
    network = network.took(core.wire.out, core.clock.now_us())
    core.wire.out.clear()
    run = core.books.reconciler.current
    waited: Mapping[str, object] = {} if run is None else run.waiting
    queries = tuple(item for item in network.queries if item[0].request_id in waited)
    return evolve(network, queries=queries).later(core.clock.now_us())


def _answered(network: Network, request_id: str) -> Network:
    queries = tuple(item for item in network.queries if item[0].request_id != request_id)
    return evolve(network, queries=queries)


# ------------------------------------------------------------------------------- what may happen


def enabled(core: Core, network: Network) -> list[Step]:
    """Every step that is possible now; the kills are added by whoever explores."""
    if not core.journal.has_stream(f"order/{ORDER}") and not core.journal.pending:
        return [Step("place the order")]
    steps = [Step("commit")] if core.journal.pending else []
    if len(core.inbox):
        return steps  # the journal has to catch up before anything else is heard
    budget, truth = network.budget, network.truth
    if network.submit_until_us is not None:
        steps.append(Step("venue accepts"))
        if budget.rejects:
            steps.append(Step("venue rejects"))
        if budget.unanswered:
            steps.append(Step("gateway gives the submit up"))
    if network.cancel_until_us is not None:
        steps.append(Step("cancel arrives"))
    if truth.state == "open":
        rest = QTY - truth.filled()
        if budget.fills:
            steps += [Step("venue fills", "1")] if rest > 1 else []
            steps.append(Step("venue fills", str(rest)))
        steps += [Step("venue expires it")] if budget.expires else []
    for label in network.facts:
        steps.append(Step("deliver", label))
        if budget.duplicates:
            steps.append(Step("deliver and keep", label))
    steps += _queries(network)
    order = core.world.orders.get(ORDER)
    if order is not None and order.state not in TERMINAL:
        steps += [Step("operator cancels")] if budget.cancels else []
        steps += [Step("system degrades")] if budget.degrades else []
    if budget.reconnects and core.books.reconciler.current is None:
        steps.append(Step("pass on demand"))
    return [*steps, Step("time passes")] if budget.times else steps


def _queries(network: Network) -> list[Step]:
    """Each query is answered as of any moment between question and answer, or not at all."""
    steps, budget = [], network.budget
    for query, place in network.queries:
        name, said = query.request_id, []
        for age, (truth, is_stale) in enumerate(network.tells(place)):
            answer = network.answer(query, truth)
            if answer in said:
                continue
            said.append(answer)
            steps.append(Step(_STALE if is_stale else _ANSWER, name, age=age))
        if budget.unavailable:
            steps.append(Step("unavailable", name))
        if budget.forgets and isinstance(query, QueryOrder) and network.truth.state != "none":
            steps.append(Step(_FORGETS, name))
    return steps


# ------------------------------------------------------------------------------------- doing it


def perform(core: Core, network: Network, step: Step) -> tuple[Core, Network]:
    """Do it; where the step says so the process dies in the middle and another one starts."""
    journal = core.journal
    journal.committed, journal.dies_at = 0, step.dies
    try:
        network = _happens(core, network, step)
        if step.what == "kill":
            raise Killed
    except Killed:
        network = _after_the_step(network, step)
        network = _took(core, network)
        network = evolve(network, budget=network.budget.spent("crashes"), queries=())
        durable = evolve(journal, pending=type(journal.pending)(), dies_at=None, committed=0)
        core = Core(durable, core.clock.now_us(), core.incarnation + 1, core.world.rules)
        core.start()
    journal.dies_at = None
    return core, _exits_fill(core, _took(core, network))


def _exits_fill(core: Core, network: Network) -> Network:
    """An exit of the engine fills, and is told, at once: this model is about the entry."""
    for label in network.facts:
        if label.startswith("fill:x"):
            core.hear(network.fact(label))
            network = _took(core, network.without(label))
    return network


def _happens(core: Core, network: Network, step: Step) -> Network:
    """What the step does to the venue and the network is in the result; the rest to the core."""
    after = _after_the_step(network, step)
    if step.what == "place the order":
        core.do(
            msg.PlaceOrder(
                client_order_id=ORDER, role=OrderRole.ENTRY, instrument=PAIR, side=Side.BUY,
                qty=QTY, type=OrderType.LIMIT, limit_price=PRICE,
            )
        )  # fmt: skip
    elif step.what == "commit":
        core.journal.commit()
        core.settle()
    elif step.what == "time passes":
        core.let_time_pass()
    elif step.what.startswith("deliver"):
        core.hear(network.fact(step.on))
    elif step.what in (_ANSWER, _STALE, _FORGETS, "unavailable"):
        query, place = next(item for item in network.queries if item[0].request_id == step.on)
        truth = network.tells(place)[step.age][0]
        if step.what == "unavailable":
            core.hear(unavailable(query))
        else:
            core.hear(network.answer(query, truth, forgets=step.what == _FORGETS))
    elif step.what == "operator cancels":
        core.do(msg.CancelOrder(ORDER, "operator"))
    elif step.what == "system degrades":
        core.do(msg.Degrade(OPERATOR))
    elif step.what == "pass on demand":
        core.do(msg.PassDue("orders"))
    else:
        now_us = core.clock.now_us()
        after = _venue(after, step, now_us)
    return after


def _venue(network: Network, step: Step, now_us: int) -> Network:
    if step.what in ("venue accepts", "venue rejects"):
        return network.submit_arrives(now_us, rejects=step.what == "venue rejects")
    if step.what == "cancel arrives":
        return network.cancel_arrives(now_us)
    if step.what == "venue fills":
        return network.fills(Decimal(step.on), now_us)
    if step.what == "venue expires it":
        return network.expires(now_us)
    return network


_COSTS = {
    "deliver and keep": "duplicates",
    "unavailable": "unavailable",
    _STALE: "stale",
    _FORGETS: "forgets",
    "gateway gives the submit up": "unanswered",
    "pass on demand": "reconnects",
    "operator cancels": "cancels",
    "system degrades": "degrades",
}


def _after_the_step(network: Network, step: Step) -> Network:
    """The network once what the step takes from it is gone."""
    cost = _COSTS.get(step.what)
    if step.what == "deliver":
        network = network.without(step.on)
    elif step.what in (_ANSWER, _STALE, _FORGETS, "unavailable"):
        network = _answered(network, step.on)
    elif step.what == "gateway gives the submit up":
        network = evolve(network, facts=network._with("unanswered_submit"))
    if step.what == "time passes" and network.budget.times != UNBOUNDED:
        cost = "times"
    if cost is not None:
        network = evolve(network, budget=network.budget.spent(cost))
    return network
