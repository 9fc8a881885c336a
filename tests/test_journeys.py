"""Order journeys: told by hand, and counted twice over more than a thousand random orders."""

from collections import Counter

import numpy as np
import pytest
from written import LINEAR, MS, START_NS, row

from hftlab.analytics.facts import journeys as jn
from hftlab.errors import UnknownName
from hftlab.types import (
    ACCEPTED,
    AMEND,
    AMENDED,
    CANCEL,
    CANCEL_REJECTED,
    CANCELED,
    EVENT,
    FEE,
    FILL,
    IOC,
    MAKER,
    POST_ONLY,
    REJECTED,
    SUBMIT,
    UNKNOWN,
)

ENTRY, BACK = 5 * MS, 3 * MS


def ask(kind, ms, order_id, price=100, lots=2, flags=POST_ONLY, side=1):
    return row(kind, START_NS + ms * MS, START_NS + ms * MS, price, lots, order_id=order_id, side=side, flags=flags)


def tell(kind, ms, order_id, price=100, lots=2, leaves=0, ahead=0, flags=0, side=1):
    return row(kind, START_NS + ms * MS, START_NS + ms * MS + BACK, price, lots, leaves, order_id, ahead, side, flags)


def rows_of(*rows):
    """In the order in which a desk writes: by the time at which it knew."""
    return np.array(sorted(rows, key=lambda r: r[1]), EVENT)


def test_a_life_by_hand():
    own = rows_of(
        ask(SUBMIT, 0, 64),
        tell(ACCEPTED, 5, 64, leaves=2, ahead=7),
        ask(AMEND, 10, 64, price=101, lots=3),
        tell(AMENDED, 15, 64, price=101, lots=3, leaves=3, ahead=1),
        tell(FILL, 20, 64, price=101, lots=1, leaves=2, flags=MAKER),
        tell(FEE, 20, 64),
        tell(FILL, 22, 64, price=101, lots=1, leaves=1, flags=MAKER),
        tell(FEE, 22, 64),
        ask(CANCEL, 30, 64),
        tell(CANCELED, 35, 64, price=101, lots=3, leaves=1),
    )
    order = jn.journeys(own)[0]
    ms = {
        name: (int(order[f"{name}_ns"]) - START_NS) / MS for name in ("decided", "accepted", "accepted_learned", "first_fill", "last_fill")
    }
    assert ms == {"decided": 0, "accepted": 5, "accepted_learned": 8, "first_fill": 20, "last_fill": 22}
    assert [(int(order[name]) - START_NS) / MS for name in ("cancel_ns", "done_ns", "done_learned_ns")] == [30, 35, 38]
    assert (order["ahead_lots"], order["amends"], order["amend_requests"], order["fills"], order["filled_lots"]) == (7, 1, 1, 2, 2)
    table = jn.frame(jn.journeys(own), (LINEAR,))
    one = table.iloc[0]
    assert (one["status"], one["reason"], one["price"], one["qty"]) == ("canceled", "we cancelled the rest", 50.0, 0.02)
    assert [one[name] for name in ("entry_ms", "response_ms", "to_fill_ms", "cancel_ms", "life_ms")] == [5, 3, 15, 5, 30]
    told = jn.events(own, 64, (LINEAR,))
    assert list(told["what"]) == [
        "asked to submit",
        "accepted",
        "asked to amend",
        "amended",
        "filled, maker",
        "filled, maker",
        "asked to cancel",
        "canceled",
    ]
    assert list(told["since_ms"]) == [0, 5, 10, 15, 20, 22, 30, 35]
    assert told["ahead"].dropna().tolist() == [0.07, 0.01]


ENDS = {
    "filled": lambda o: (tell(ACCEPTED, 5, o, leaves=2), tell(FILL, 9, o, leaves=0, flags=MAKER)),
    "filled before its cancel came": lambda o: (
        tell(ACCEPTED, 5, o, leaves=2),
        ask(CANCEL, 8, o),
        tell(FILL, 9, o, leaves=0, flags=MAKER),
        tell(CANCEL_REJECTED, 13, o),
    ),
    "refused": lambda o: (tell(REJECTED, 5, o),),
    "an amend refused": lambda o: (tell(ACCEPTED, 5, o, leaves=2), ask(AMEND, 6, o), tell(REJECTED, 11, o, leaves=2)),
    "canceled": lambda o: (tell(ACCEPTED, 5, o, leaves=2), ask(CANCEL, 8, o), tell(CANCELED, 13, o, leaves=2)),
    "by the venue": lambda o: (tell(ACCEPTED, 5, o, leaves=2), tell(CANCELED, 5, o, leaves=2)),
    "on its way": lambda o: (),
    "silent": lambda o: (tell(UNKNOWN, 50, o),),
}
STATUS = dict(zip(ENDS, ("filled", "filled", "rejected", "open", "canceled", "canceled", "open", "unknown"), strict=True))
REASON = {
    "filled": "filled",
    "filled before its cancel came": "filled",
    "refused": "post-only would have traded",
    "an amend refused": "still open at the end",
    "canceled": "we cancelled it",
    "by the venue": "the exchange cancelled it",
    "on its way": "still open at the end",
    "silent": "no answer from the exchange",
}


def test_two_thousand_orders_are_counted_as_by_hand():
    rng = np.random.default_rng(5)
    ends = rng.choice(list(ENDS), 2000)
    rows = []
    for n, end in enumerate(ends):
        order_id = (n + 1) * 64
        mine = (ask(SUBMIT, 0, order_id), *ENDS[end](order_id))
        wait = n * 7 * MS  # lives overlap
        rows += [(r[0] + wait, r[1] + wait, *r[2:]) for r in mine]
    found = jn.journeys(rows_of(*rows))
    table = jn.frame(found, (LINEAR,))
    assert list(table["status"]) == [STATUS[end] for end in ends]
    assert list(table["reason"]) == [REASON[end] for end in ends]
    assert Counter(table["status"]) == Counter(STATUS[end] for end in ends)
    assert table["fills"].sum() == sum(end.startswith("filled") for end in ends)
    assert table["cancel_refused"].sum() == sum(end == "filled before its cancel came" for end in ends)
    # A cancel that came too late took no time that means anything.
    assert table["cancel_ms"].notna().sum() == sum(end == "canceled" for end in ends)


def test_what_nobody_sent_is_said():
    own = rows_of(ask(SUBMIT, 0, 64, flags=IOC), tell(ACCEPTED, 5, 64, leaves=2), tell(CANCELED, 5, 64, leaves=2))
    assert jn.frame(jn.journeys(own), (LINEAR,))["reason"][0] == "nothing more to take"
    with pytest.raises(UnknownName, match="no order has the id 7"):
        jn.events(own, 7, (LINEAR,))
    assert len(jn.frame(jn.journeys(own[:0]), (LINEAR,))) == 0
