"""Orders placed by hand or by a script: they bypass strategies and the door, not the machines,
the mode's permissions and the ledger.
"""

from __future__ import annotations

from actors import messages as msg
from actors.effects import SendSubmit, SetTimer
from actors.runtime.actor import Decision, Refused
from actors.world import World
from fsm import events as ev
from fsm.mode import Permission
from fsm.money import ZERO
from fsm.requests import Submit
from fsm.vocabulary import OrderRole, OrderType, Side

_INVENTORY = "inv/{strategy}/{instrument}"


def place(message: msg.PlaceOrder, world: World) -> Decision:
    """Intend exactly this order. Raises Refused, with nothing half-written (M03)."""
    _validate(message, world)
    spec = world.instruments[message.instrument]
    quote = world.quote(message.instrument)
    reserve = message.limit_price
    if reserve is None and quote is not None:
        reserve = quote.ask if message.side is Side.BUY else quote.bid
    decision = Decision()
    position_id = _position_for(message, decision, world)
    decision.events.append(
        ev.OrderIntended(
            client_order_id=message.client_order_id,
            role=message.role,
            instrument=message.instrument,
            side=message.side,
            type=message.type,
            qty=message.qty,
            limit_price=message.limit_price,
            session_id=world.session.session_id,
            mode=world.session.mode,
            position_id=position_id,
            strategy=message.strategy,
            time_in_force=message.time_in_force,
            post_only=message.post_only,
            reduce_only=message.reduce_only,
            leverage=message.leverage,
            reserve_price=reserve,
        )
    )
    decision.effects.append(
        SendSubmit(
            Submit(
                client_order_id=message.client_order_id,
                instrument=spec.name,
                side=message.side,
                qty=message.qty,
                type=message.type,
                limit_price=message.limit_price,
                time_in_force=message.time_in_force,
                post_only=message.post_only,
                reduce_only=message.reduce_only,
                leverage=message.leverage,
            ),
            message.role,
        )
    )
    if message.expires_in_us is not None and position_id is not None:
        decision.effects.append(
            SetTimer(f"expiry/{position_id}", message.expires_in_us, msg.ExpiryDue(position_id))
        )
    return decision


def _validate(message: msg.PlaceOrder, world: World) -> None:
    order_id = message.client_order_id
    if not order_id or not order_id.strip():
        raise Refused("an order needs a client_order_id: nothing was written (M03)")
    if message.instrument not in world.instruments:
        raise Refused(f"order {order_id}: unknown instrument {message.instrument!r}")
    if message.qty <= 0:
        raise Refused(f"order {order_id}: qty must be above zero, not {message.qty}")
    if message.type is OrderType.LIMIT and (
        message.limit_price is None or message.limit_price <= 0
    ):
        raise Refused(f"order {order_id}: a limit order needs a limit_price above zero")
    if message.role is OrderRole.EXTERNAL:
        raise Refused(f"order {order_id}: external orders are adopted, never placed")
    if not world.permitted(Permission.ENTRY):
        raise Refused(
            f"order {order_id}: no new orders while {world.mode}, control {world.control}"
        )


def _position_for(message: msg.PlaceOrder, decision: Decision, world: World) -> str | None:
    """The position it belongs to: named, its own, or the inventory of a strategy's quotes."""
    quote = message.role is OrderRole.QUOTE
    default = (
        _INVENTORY.format(strategy=message.strategy or "manual", instrument=message.instrument)
        if quote
        else message.client_order_id
    )
    position_id = message.position_id or default
    held = world.positions.get(position_id)
    if held is not None and held.is_open:
        return position_id
    if held is not None:
        raise Refused(f"order {message.client_order_id}: position {position_id} has ended")
    decision.events.append(
        ev.PositionOpened(
            position_id=position_id,
            session_id=world.session.session_id,
            mode=world.session.mode,
            instrument=message.instrument,
            side=message.side,
            strategy=message.strategy,
            signal_id=None,
            stop=message.stop,
            take_profit=message.take_profit,
            trailing=message.trailing,
            expires_at_us=None
            if message.expires_in_us is None
            else world.now_us + message.expires_in_us,
            min_qty=world.instruments[message.instrument].min_qty or ZERO,
            leverage=message.leverage,
            inventory=quote,
        )
    )
    return position_id
