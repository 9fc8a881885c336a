"""When a request reaches the exchange and when its report reaches us.

A session's requests travel on one ordered connection: a later one never overtakes an earlier one, so an arrival is never
before the arrival already in flight.
"""

from hftlab.kernels.jit import kernel


@kernel
def request_arrival_ns(exchange, sent_ns, last_arrival_ns):
    """Return when a request sent at `sent_ns` reaches the exchange."""
    return max(sent_ns + exchange.entry_ns, last_arrival_ns)


@kernel
def report_arrival_ns(exchange, matched_ns, last_arrival_ns):
    """Return when a report written at `matched_ns` reaches us."""
    return max(matched_ns + exchange.response_ns, last_arrival_ns)
