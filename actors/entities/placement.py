"""Orders placed by hand or by a script: they bypass strategies and the door, not the machines,
the mode's permissions and the ledger.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from actors import messages as msg
from actors.effects import SendSubmit, SetTimer
from actors.runtime.actor import Decision, Refused
from actors.world import World
from fsm import events as ev
from fsm.mode import Permission
from fsm.requests import Submit
from fsm.vocabulary import OrderRole, OrderType, Side

if TYPE_CHECKING:
    from actors.entities.position import Position

_INVENTORY = "inv/{strategy}/{instrument}"


def place(message: msg.PlaceOrder, world: World) -> Decision:
    """Intend exactly this order. Raises Refused, with nothing half-written (M03)."""
    _validate(message, world)
    spec = world.instruments[message.instrument]
    quote = world.quote(message.instrument)
    # The limit of a market order protects it: it is neither what was seen nor what was intended.
    reserve = message.limit_price if message.type is OrderType.LIMIT else None
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


def validate_id(client_order_id: str, world: World) -> None:
    """An id is there, and was never used before. Raises Refused (M03, L4)."""
    if not client_order_id or not client_order_id.strip():
        raise Refused("an order needs a client_order_id: nothing was written (M03)")
    if world.is_ours(client_order_id):
        raise Refused(f"order {client_order_id}: this id was used before (L4: never re-sent)")


def validate_shape(
    client_order_id: str, qty: Decimal, type_: OrderType, limit_price: Decimal | None
) -> None:
    """Quantity and limit can be an order's. Raises Refused."""
    if qty <= 0:
        raise Refused(f"order {client_order_id}: qty must be above zero, not {qty}")
    if type_ is OrderType.LIMIT and (limit_price is None or limit_price <= 0):
        raise Refused(f"order {client_order_id}: a limit order needs a limit_price above zero")


def _validate(message: msg.PlaceOrder, world: World) -> None:
    order_id = message.client_order_id
    validate_id(order_id, world)
    validate_shape(order_id, message.qty, message.type, message.limit_price)
    if message.instrument not in world.instruments:
        raise Refused(f"order {order_id}: unknown instrument {message.instrument!r}")
    if message.instrument in world.ledger.resolved:
        raise Refused(f"order {order_id}: {message.instrument} is resolved, it has paid out")
    if message.role in (OrderRole.EXIT, OrderRole.EXTERNAL):
        raise Refused(f"order {order_id}: role {message.role} cannot be placed this way")
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
    held = world.find_position(position_id)
    if held is not None and not held.is_open and quote and message.position_id is None:
        position_id, held = _next_inventory(default, world)
    if held is not None and held.is_open:
        return position_id
    if held is not None:
        raise Refused(f"order {message.client_order_id}: position {position_id} has ended")
    spec = world.instruments[message.instrument]
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
            min_qty=max(spec.min_qty, spec.qty_step),
            leverage=message.leverage,
            inventory=quote,
        )
    )
    return position_id


def _next_inventory(default: str, world: World) -> tuple[str, Position | None]:
    """An inventory that was closed is over; quotes after it book into the next one."""
    number = 2
    while True:
        position_id = f"{default}#{number}"
        held = world.find_position(position_id)
        if held is None or held.is_open:
            return position_id, held
        number += 1
