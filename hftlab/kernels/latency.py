"""When a request reaches the exchange and when its report reaches us.

A travel time is a constant, or the recorded one of that moment, plus a share of the feed's own latency just now (a busy venue is
slow both ways), plus a lognormal random part from the record's own generator. A session's requests travel on one ordered
connection: a later one never overtakes an earlier one, so an arrival is never before the arrival already in flight.
"""

import math

from hftlab.kernels.jit import kernel
from hftlab.kernels.rng import normal


@kernel
def set_recorded(exchange, row):
    """Take over a LATENCY row: straight lines between two recorded round trips."""
    exchange.recorded_from_ns = row.ts_recv_ns
    exchange.recorded_to_ns = row.seq
    exchange.recorded_entry_ns[0] = row.price_ticks
    exchange.recorded_entry_ns[1] = row.qty_lots
    exchange.recorded_response_ns[0] = row.leaves_lots
    exchange.recorded_response_ns[1] = row.order_id


@kernel
def _between(exchange, ends_ns, now_ns):
    length = exchange.recorded_to_ns - exchange.recorded_from_ns
    share = 1.0 if length <= 0 else min(max((now_ns - exchange.recorded_from_ns) / length, 0.0), 1.0)
    return ends_ns[0] + int(share * (ends_ns[1] - ends_ns[0]))


@kernel
def _varying_ns(exchange, feed_share):
    extra = feed_share * exchange.feed_ns
    if exchange.jitter_ns > 0.0:
        sd = exchange.jitter_log_sd
        extra += exchange.jitter_ns * math.exp(sd * normal(exchange) - sd * sd / 2.0)
    return int(extra)


@kernel
def request_arrival_ns(exchange, sent_ns, last_arrival_ns, cancelling):
    """Return when a request decided at `sent_ns` reaches the exchange: our own compute time comes first."""
    travel_ns = exchange.cancel_ns if cancelling else exchange.entry_ns
    if exchange.recorded_from_ns != 0:
        travel_ns = _between(exchange, exchange.recorded_entry_ns, sent_ns)
    travel_ns += exchange.compute_ns + _varying_ns(exchange, exchange.entry_feed_share)
    return max(sent_ns + travel_ns, last_arrival_ns)


@kernel
def report_arrival_ns(exchange, matched_ns, last_arrival_ns):
    """Return when a report written at `matched_ns` reaches us."""
    travel_ns = exchange.response_ns
    if exchange.recorded_from_ns != 0:
        travel_ns = _between(exchange, exchange.recorded_response_ns, matched_ns)
    return max(matched_ns + travel_ns + _varying_ns(exchange, exchange.response_feed_share), last_arrival_ns)
