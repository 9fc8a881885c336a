"""Requests and reports on their way between us and the simulated exchange: two rings, each in arrival order."""

from hftlab.kernels import latency
from hftlab.kernels.jit import kernel
from hftlab.types import CANCEL, FAULT_IN_FLIGHT_FULL, IN_FLIGHT, NEVER_NS


@kernel
def send(desk, exchange, row):
    """Put a request (stamped with its sending time in ts_recv_ns) on its way to the exchange."""
    if exchange.request_count >= IN_FLIGHT:
        desk.fault = FAULT_IN_FLIGHT_FULL
        return
    last = row.ts_recv_ns
    if exchange.request_count > 0:
        last = exchange.requests[(exchange.request_head + exchange.request_count - 1) % IN_FLIGHT].ts_exch_ns
    slot = exchange.requests[(exchange.request_head + exchange.request_count) % IN_FLIGHT]
    copy_event(slot, row)
    slot.ts_exch_ns = latency.request_arrival_ns(exchange, row.ts_recv_ns, last, row.kind == CANCEL)
    exchange.request_count += 1
    exchange.due_ns = min(exchange.due_ns, slot.ts_exch_ns)


@kernel
def copy_event(target, source):
    """Copy an event row field by field."""
    target.ts_exch_ns = source.ts_exch_ns
    target.ts_recv_ns = source.ts_recv_ns
    target.price_ticks = source.price_ticks
    target.qty_lots = source.qty_lots
    target.leaves_lots = source.leaves_lots
    target.order_id = source.order_id
    target.seq = source.seq
    target.kind = source.kind
    target.side = source.side
    target["flags"] = source["flags"]
    target.instrument = source.instrument


@kernel
def report(desk, exchange, kind, order_id, side, price_ticks, lots, leaves, flags, instrument, ahead_lots=0):
    """Put a report on its way to us, matched at the exchange's present time; `seq` tells how much stands in front of the order."""
    if exchange.report_count >= IN_FLIGHT:
        desk.fault = FAULT_IN_FLIGHT_FULL
        return
    last = exchange.now_ns
    if exchange.report_count > 0:
        last = exchange.reports[(exchange.report_head + exchange.report_count - 1) % IN_FLIGHT].ts_recv_ns
    row = exchange.reports[(exchange.report_head + exchange.report_count) % IN_FLIGHT]
    row.ts_exch_ns = exchange.now_ns
    row.ts_recv_ns = latency.report_arrival_ns(exchange, exchange.now_ns, last)
    row.price_ticks = price_ticks
    row.qty_lots = lots
    row.leaves_lots = leaves
    row.order_id = order_id
    row.seq = ahead_lots
    row.kind = kind
    row.side = side
    row["flags"] = flags
    row.instrument = instrument
    exchange.report_count += 1
    exchange.due_ns = min(exchange.due_ns, row.ts_recv_ns)


@kernel
def next_request_ns(exchange):
    """Return when the first request reaches the exchange, NEVER_NS for none."""
    return exchange.requests[exchange.request_head].ts_exch_ns if exchange.request_count > 0 else NEVER_NS


@kernel
def next_report_ns(exchange):
    """Return when the first report reaches us, NEVER_NS for none."""
    return exchange.reports[exchange.report_head].ts_recv_ns if exchange.report_count > 0 else NEVER_NS


@kernel
def pop_request(exchange):
    """Take the first request off the ring; the row stays readable until the ring comes round."""
    row = exchange.requests[exchange.request_head]
    exchange.request_head = (exchange.request_head + 1) % IN_FLIGHT
    exchange.request_count -= 1
    exchange.due_ns = min(next_request_ns(exchange), next_report_ns(exchange))
    return row


@kernel
def pop_report(exchange):
    """Take the first report off the ring; the row stays readable until the ring comes round."""
    row = exchange.reports[exchange.report_head]
    exchange.report_head = (exchange.report_head + 1) % IN_FLIGHT
    exchange.report_count -= 1
    exchange.due_ns = min(next_request_ns(exchange), next_report_ns(exchange))
    return row
