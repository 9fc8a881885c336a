"""What requests cost at each venue, and how much there is: (size, seconds until it is full again).

Sources: the venues' pages on limits and on each endpoint.
"""

from collections.abc import Mapping

from hftlab.types import AMEND, CANCEL

BUDGETS: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "binance": {"weight_1m": (6000.0, 60.0), "orders_10s": (100.0, 10.0), "orders_1d": (200_000.0, 86_400.0)},
    "binanceusdm": {"weight_1m": (2400.0, 60.0), "orders_10s": (300.0, 10.0), "orders_1m": (1200.0, 60.0)},
    "hyperliquid": {"weight_1m": (1200.0, 60.0)},
}

# Made once: they are asked for on the way of every order.
_WEIGHT: Mapping[str, float] = {"weight_1m": 1.0}
_REQUEST: Mapping[str, float] = {"requests": 1.0}
_USDM_ORDER: Mapping[str, float] = {"orders_10s": 1.0, "orders_1m": 1.0}
_SPOT_ORDER: Mapping[str, float] = {"weight_1m": 1.0, "orders_10s": 1.0, "orders_1d": 1.0}
_SPOT_AMEND: Mapping[str, float] = {"weight_1m": 4.0}  # order.amend.keepPriority adds nothing to the count of orders


def cost_of(venue: str, kind: int, amends: str = "in_place") -> Mapping[str, float]:
    """Return what a SUBMIT, AMEND or CANCEL uses of the venue's budgets; of an unknown venue one of "requests"."""
    if venue == "hyperliquid":
        return _WEIGHT
    if venue not in {"binance", "binanceusdm"}:
        return _REQUEST
    if kind == CANCEL:
        return _WEIGHT
    if venue == "binanceusdm":
        return _USDM_ORDER
    return _SPOT_AMEND if kind == AMEND and amends == "in_place" else _SPOT_ORDER
