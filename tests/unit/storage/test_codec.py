"""Events survive the journal: bytes are canonical and come back as what they were."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given

from fsm import events as ev
from storage.codec import UnknownEventType, decode, encode
from tests import strategies
from tests.unit.storage.stories import long_story


@given(strategies.events)
def test_an_event_of_any_type_comes_back_equal_and_its_bytes_are_canonical(event: ev.Event) -> None:
    payload = encode(event)
    back = decode(type(event).__name__, payload)
    assert event == back
    assert type(event) is type(back)
    assert payload == encode(back)


def test_the_type_map_names_every_event_once() -> None:
    assert set(ev.EVENT_TYPES) == {cls.__name__ for cls in ev.Event.__args__}


def test_decimals_are_text_so_that_no_reader_can_make_floats_of_them() -> None:
    for event in long_story().events:
        document = msgspec.json.decode(encode(event))
        assert not [value for value in document.values() if isinstance(value, float)]


def test_a_type_of_a_newer_version_is_refused_by_name() -> None:
    with pytest.raises(UnknownEventType, match="OrderTeleported"):
        decode("OrderTeleported", b"{}")


@pytest.mark.parametrize(
    "payload", [b"{", b"{}", b'{"client_order_id": 1, "state": "SUBMITTED"}', b'{"state": "GONE"}']
)
def test_damaged_payloads_are_errors_and_never_defaults(payload: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode("OrderSent", payload)
