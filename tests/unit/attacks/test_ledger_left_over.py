"""Told a second time and differently, held in no position, repeated after midnight."""

from __future__ import annotations

from tests.unit.chaos.runs import run_text, shown

_PERPETUAL = """
name = "settled twice"
[venue]
mode = "scripted"
kind = "perpetual"
[[instrument]]
name = "BTC/USDT"
base = "BTC"
quote = "USDT"
[balances]
USDT = "1000"
"""
_ROUND_TRIP = """
[[step]]
submit = { client_order_id = "E", instrument = "BTC/USDT", side = "buy", qty = "1" }
[[step]]
venue = { event = "fill", client_order_id = "E", trade_id = "T1", qty = "1", price = "100" }
[[step]]
exit = { position = "E", reason = "operator" }
[[step]]
venue = { event = "fill", role = "exit", position = "E", trade_id = "T2", qty = "1" }
[[step]]
venue = { event = "settled", role = "exit", trade_id = "T2", realized_pnl = "10", fee = "1" }
"""


def test_a_second_settlement_with_other_figures_is_said_once_and_counts_for_nothing() -> None:
    again = """
[[step]]
venue = { event = "settled", role = "exit", trade_id = "T2", realized_pnl = "12", fee = "1" }
[[step]]
venue = { event = "settled", role = "exit", trade_id = "T2", realized_pnl = "12", fee = "1" }
[[step]]
venue = { event = "settled", role = "exit", trade_id = "T2", realized_pnl = "10", fee = "1" }
[[step]]
expect = { "account.realized_pnl" = "10", "account.fees_paid" = "1" }
[[step]]
expect = { "account.balances.USDT.total" = "1009", "rows.reconciler_anomalies" = 1 }
"""
    outcome = run_text(_ROUND_TRIP + again, _PERPETUAL)
    assert outcome.passed, shown(outcome)


_WINDOW = """
name = "shares in no position"
[venue]
mode = "scripted"
kind = "binary"
[[instrument]]
name = "YES/USDC"
base = "YES"
quote = "USDC"
[balances]
YES = "10"
USDC = "100"
"""


def test_shares_in_no_position_bring_capital_when_they_pay_out() -> None:
    steps = """
[[step]]
submit = { client_order_id = "E", instrument = "YES/USDC", side = "buy", qty = "5" }
[[step]]
venue = { event = "fill", client_order_id = "E", trade_id = "T1", qty = "5", price = "0.4" }
[[step]]
venue = { event = "resolved", instrument = "YES/USDC", payout = "1" }
[[step]]
expect = { "positions.E.realized_pnl" = "3", "account.balances.USDC.total" = "113" }
[[step]]
expect = { "account.balances.YES.total" = "0" }
[[step]]
expect = { "account.capital" = "113", "account.net_basis" = "100" }
"""
    outcome = run_text(steps, _WINDOW)
    assert outcome.passed, shown(outcome)


def test_a_deposit_repeated_after_midnight_is_not_another_one() -> None:
    steps = """
[[step]]
wait = "1s"
[[step]]
capital = { event = "deposit", asset = "RLUSD", amount = "50" }
[[step]]
wait = "24h"
[[step]]
capital = { event = "deposit", asset = "RLUSD", amount = "50" }
[[step]]
expect = { "account.balances.RLUSD.total" = "150", "counters.refused_commands" = 1 }
[[step]]
capital = { event = "deposit", asset = "RLUSD", amount = "50", ref = "another" }
[[step]]
expect = { "account.balances.RLUSD.total" = "200", "account.net_basis" = "200" }
"""
    outcome = run_text(steps)
    assert outcome.passed, shown(outcome)


def test_a_capital_command_that_is_kept_is_carried_out_after_a_kill_too() -> None:
    steps = """
[[step]]
fault = { kind = "actor_crash", on = "actor:account", times = 20, for = "1s" }
[[step]]
capital = { event = "deposit", asset = "RLUSD", amount = "50", ref = "tx-1" }
[[step]]
expect = { "account.balances.RLUSD.total" = "100", "counters.unprocessed" = 1 }
[[step]]
wait = "2s"
[[step]]
restart = "kill"
[[step]]
wait = "5s"
[[step]]
expect = { "account.balances.RLUSD.total" = "150", "account.net_basis" = "150" }
[[step]]
capital = { event = "deposit", asset = "RLUSD", amount = "50", ref = "tx-1" }
[[step]]
expect = { "account.balances.RLUSD.total" = "150", "rows.capital_events" = 3 }
"""
    outcome = run_text(steps)
    assert outcome.passed, shown(outcome)
