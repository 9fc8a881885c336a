"""What the door answers, in human units. The last part of a field's name is its unit; what is not known is null."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Problem(BaseModel):
    """Every error: what was found, what was wanted, what to do. `type` is for programs."""

    ok: bool = False
    status: int
    type: str
    error: str


class Done(BaseModel):
    """A command was journaled, synced to the disk, and run. `row` is its first row of the journal, `count` how many it has."""

    ok: bool = True
    command: str
    state: str
    rows: int
    row: int | None = None
    count: int | None = None
    resting: int | None = None
    audit_trouble: str = ""


class Rotated(BaseModel):
    """New tokens lie in control.json and read.token of the run directory; the old ones have ended."""

    ok: bool = True
    end_ns: int


class Link(BaseModel):
    """One thing that can be asked."""

    method: str
    path: str
    what: str


class Root(BaseModel):
    """What this is."""

    name: str
    run: str
    mode: str
    state: str
    links: list[Link]


class Feed(BaseModel):
    """How old the book of a market is, in session time."""

    market: int
    instrument: str
    validity: str
    feed_age_s: float | None
    stale_s_max: float
    link_up: bool


class Stream(BaseModel):
    """One stream of a venue."""

    name: str
    up: bool
    silent_s: float | None
    gaps: int
    resyncs: int
    reconnects: int
    note: str


class JournalLag(BaseModel):
    """How far the disk is behind what was run."""

    rows: int
    unsynced_rows: int
    overdue_s: float


class Health(BaseModel):
    """Whether the machinery works, and each figure that says so. A desk that a person halted is healthy: see `state`."""

    ok: bool
    reasons: list[str]
    state: str
    state_reason: str
    frame_age_ms: float
    loop_gap_ms: float | None
    loop_gap_ms_max: float | None
    clock_offset_ms: float | None
    journal: JournalLag
    feeds: list[Feed]
    streams: list[Stream]
    audit_trouble: str
    watchers: int


class Latency(BaseModel):
    """Delays."""

    tick_to_request_p50_us: float | None
    tick_to_request_p99_us: float | None
    loop_gap_ms: float | None
    loop_gap_ms_max: float | None
    feed_lag_ms: float | None
    clock_offset_ms: float | None


class Stats(BaseModel):
    """How much of everything, and how fast; `_per_s` over the last ten seconds."""

    mode: str
    venue: str
    settle: str
    uptime_s: float
    messages: int
    messages_per_s: float
    rows: int
    rows_per_s: float
    submits: int
    amends: int
    cancels: int
    rejects: int
    requests_per_s: float
    orders: int
    fills: int
    fills_per_s: float
    fills_per_submit: float | None
    pnl_quote: float
    day_pnl_quote: float
    fees_quote: float
    funding_quote: float
    traded_quote: float
    drawdown_quote: float
    capital_quote: float | None
    latency: Latency


class Position(BaseModel):
    """What we hold of an instrument. `_quote` is the settlement currency."""

    market: int
    instrument: str
    qty: float
    base: str
    entry_price: float | None
    mark_price: float | None
    notional_quote: float | None
    unrealised_quote: float | None
    realised_quote: float | None
    pnl_quote: float
    fees_quote: float
    funding_quote: float
    bought_qty: float
    sold_qty: float
    settle: str


class Order(BaseModel):
    """One of our orders, working or in flight."""

    market: int
    instrument: str
    order_id: int
    side: str
    price: float
    qty: float
    leaves_qty: float
    ahead_qty: float
    status: str
    level: int


class Fill(BaseModel):
    """One of our last fills."""

    market: int
    instrument: str
    ts_ns: int
    order_id: int
    side: str
    maker: bool
    price: float
    qty: float
    fair_price: float | None
    fee_quote: float
    position_qty: float


class Meter(BaseModel):
    """An amount beside its limit."""

    market: int
    name: str
    amount: float | None
    limit: float | None
    unit: str
    used_share: float


class Risk(BaseModel):
    """State of the desk, how much of each limit is used, and what the gate refused."""

    state: str
    state_reason: str
    gauges: list[Meter]
    refusals: dict[str, int]


class Strategy(BaseModel):
    """What quotes a market."""

    name: str
    market: int
    instrument: str
    quoter: str
    python: str | None
    active: bool
    state: str
    unquoted_because: str
    orders: int
    fills: int
    position_qty: float
    pnl_quote: float


class Parameter(BaseModel):
    """One parameter that may be changed while the quoter runs."""

    name: str
    label: str
    unit: str
    value: float
    min: float
    max: float
    step: float
    log: bool


class MarketParameters(BaseModel):
    """The live parameters of a market's quoter."""

    market: int
    instrument: str
    quoter: str
    parameters: list[Parameter]


class MarketLimits(BaseModel):
    """The limits in force for a market, by the name that `POST /limits` takes; null is none."""

    market: int
    instrument: str
    limits: dict[str, float | None]


class Said(BaseModel):
    """What the engine told its people."""

    ts_ns: int
    level: str
    text: str


class Overview(BaseModel):
    """Everything that a page of status shows: also what each message of `/ws` holds."""

    number: int
    published_ns: int
    run: str
    health: Health
    stats: Stats
    risk: Risk
    positions: list[Position]
    orders: list[Order]
    fills: list[Fill]
    strategies: list[Strategy]
    messages: list[Said]


class Call(BaseModel):
    """One line of the audit trail."""

    model_config = ConfigDict(extra="allow")

    ts_ns: int
    who: str | None
    why: str | None
    call: str | None
    command: str | None
    status: int | None
    ok: bool | None
    values: dict[str, Any] | None
