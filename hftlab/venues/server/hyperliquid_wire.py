"""The shapes of what a client sends to Hyperliquid's /exchange. What does not fit them is answered with 422."""

from typing import Any, Literal

import msgspec
from msgspec import Struct

DECODE_ERRORS = (msgspec.ValidationError, msgspec.DecodeError)


class Signature(Struct, frozen=True):
    """An ECDSA signature; r and s are hex texts."""

    r: str
    s: str
    v: int


class Request(Struct, frozen=True, rename="camel"):
    """The body of a request. `action` stays a dict: what is signed depends on the order of its keys."""

    action: dict[str, Any]
    nonce: int
    signature: Signature
    vault_address: str | None = None
    expires_after: int | None = None


class LimitKind(Struct, frozen=True):
    """How long a limit order lives."""

    tif: Literal["Gtc", "Alo", "Ioc"]


class OrderKind(Struct, frozen=True):
    """A limit order, or a trigger order (which this exchange does not have)."""

    limit: LimitKind | None = None
    trigger: dict[str, Any] | None = None


class OrderWire(Struct, frozen=True):
    """One order: asset, is buy, price, size, reduce-only, type, cloid."""

    a: int
    b: bool
    p: str
    s: str
    r: bool
    t: OrderKind
    c: str | None = None


class Builder(Struct, frozen=True):
    """Who gets an extra fee, in tenths of a basis point."""

    b: str
    f: int


class PlaceOrders(Struct, frozen=True, tag_field="type", tag="order"):
    """Place orders."""

    orders: list[OrderWire]
    grouping: str = "na"
    builder: Builder | None = None


class CancelWire(Struct, frozen=True):
    """One cancel by oid."""

    a: int
    o: int


class CancelOids(Struct, frozen=True, tag_field="type", tag="cancel"):
    """Cancel by oid."""

    cancels: list[CancelWire]


class CloidWire(Struct, frozen=True):
    """One cancel by cloid."""

    asset: int
    cloid: str


class CancelCloids(Struct, frozen=True, tag_field="type", tag="cancelByCloid"):
    """Cancel by cloid."""

    cancels: list[CloidWire]


class ModifyWire(Struct, frozen=True):
    """One modify; `oid` may be a cloid. With `a` the new order is placed even when the old one is gone."""

    oid: int | str
    order: OrderWire
    a: bool = False


class Modify(Struct, frozen=True, tag_field="type", tag="modify"):
    """Modify one order."""

    oid: int | str
    order: OrderWire
    a: bool = False


class BatchModify(Struct, frozen=True, tag_field="type", tag="batchModify"):
    """Modify orders."""

    modifies: list[ModifyWire]


class ScheduleCancel(Struct, frozen=True, tag_field="type", tag="scheduleCancel"):
    """The dead man's switch; without a time it is disarmed."""

    time: int | None = None


class UpdateLeverage(Struct, frozen=True, tag_field="type", tag="updateLeverage", rename="camel"):
    """Set the leverage of a coin."""

    asset: int
    is_cross: bool
    leverage: int


class SetReferrer(Struct, frozen=True, tag_field="type", tag="setReferrer"):
    """Name who brought this account."""

    code: str


class Noop(Struct, frozen=True, tag_field="type", tag="noop"):
    """Use up a nonce."""


class ApproveBuilderFee(Struct, frozen=True, tag_field="type", tag="approveBuilderFee", rename="camel"):
    """Allow a builder fee. User-signed."""

    hyperliquid_chain: str
    signature_chain_id: str
    fee_rate_max: str = msgspec.field(name="maxFeeRate")
    builder: str
    nonce: int


class ApproveAgent(Struct, frozen=True, tag_field="type", tag="approveAgent", rename="camel"):
    """Allow another address to act. User-signed."""

    hyperliquid_chain: str
    signature_chain_id: str
    agent_address: str
    nonce: int
    agent_name: str | None = None


Modifying = Modify | ModifyWire
Action = (
    PlaceOrders
    | CancelOids
    | CancelCloids
    | Modify
    | BatchModify
    | ScheduleCancel
    | UpdateLeverage
    | SetReferrer
    | Noop
    | ApproveBuilderFee
    | ApproveAgent
)

_request = msgspec.json.Decoder(Request).decode


def decode_request(body: bytes) -> Request:
    """Return the request in a body. Raises one of DECODE_ERRORS."""
    return _request(body)


def convert_request(value: Any) -> Request:
    """Return the request in a decoded JSON value. Raises one of DECODE_ERRORS."""
    return msgspec.convert(value, Request)


def action_of(request: Request) -> Action:
    """Return the typed action of a request. Raises one of DECODE_ERRORS."""
    return msgspec.convert(request.action, Action)


def batch_size(action: Action) -> int:
    """Return how many requests an action stands for."""
    match action:
        case PlaceOrders(orders=batch) | CancelOids(cancels=batch) | CancelCloids(cancels=batch) | BatchModify(modifies=batch):
            return max(1, len(batch))
        case _:
            return 1


def takes(action: Action) -> bool:
    """Say whether an action may send an order that takes."""
    match action:
        case PlaceOrders(orders=orders):
            pass
        case Modify(order=order):
            orders = [order]
        case BatchModify(modifies=modifies):
            orders = [one.order for one in modifies]
        case _:
            return False
    return any(order.t.limit is None or order.t.limit.tif != "Alo" for order in orders)


def cancels(action: Action) -> bool:
    """Say whether an action only cancels."""
    return isinstance(action, CancelOids | CancelCloids | ScheduleCancel)
