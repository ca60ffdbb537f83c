"""What both sides of a comparison use: times, prices, quantities, a strategy's numbers."""

from __future__ import annotations

from decimal import Decimal

from fsm.timestamps import SECOND_US

START_US = 1_700_000_000 * SECOND_US
BID, ASK = Decimal("60000.0"), Decimal("60000.5")
QTY = Decimal("0.001")
QUOTE_PRICE = Decimal(50000)
"""Far below the market: such a quote rests until it is cancelled."""

POSITIONS = 100
STOP_BELOW = Decimal(100)
"""How far below the lowest bid of a replay its stops lie: none is crossed."""
FAST, SLOW = 0.1, 0.01
"""Weights of the newest middle price in the watching strategy's two averages."""
