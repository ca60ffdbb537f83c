"""The venue process's configuration: values, and errors that name the key (L12)."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from sim_builders import SPOT

from actors.venues.sim.config import parse_config
from actors.venues.sim.server import main

CONFIG = {
    "instruments": [{"name": SPOT.name, "base": "XRP", "quote": "RLUSD", "price_tick": "0.01"}],
    "balances": {"XRP": "100", "RLUSD": "1000"},
    "settings": {"taker_fee_bps": "10"},
}


def test_a_configuration_becomes_values():
    config = parse_config(json.dumps(CONFIG))

    assert Decimal("0.01") == config.instruments[0].price_tick
    assert Decimal(10) == config.settings.taker_fee_bps
    assert {"XRP": Decimal(100), "RLUSD": Decimal(1000)} == config.balances


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": {"taker_fee": "1"}}, "settings: unknown key 'taker_fee'.*'taker_fee_bps'"),
        ({"settings": {"taker_fee_bps": 1.5}}, "taker_fee_bps.*strings"),
        ({"settings": {"latency_us": "x"}}, "latency_us"),
        ({"balances": {"XRP": 1.5}}, "not a decimal: 1.5"),
        ({"instruments": []}, "instruments"),
        ({"instruments": [{"name": "X"}]}, "base"),
        ({"sede": 1}, "unknown key 'sede'; the nearest is 'seed'"),
    ],
)
def test_a_wrong_configuration_names_the_key(change, message, capsys):
    text = json.dumps(CONFIG | change)
    with pytest.raises(ValueError, match=message):
        parse_config(text)
    assert 2 == main(["--port", "0", "--config-json", text])
    assert capsys.readouterr().err.startswith("venue: ")
