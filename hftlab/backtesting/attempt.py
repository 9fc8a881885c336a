"""`try_decide`: a user's decide in plain Python on the start of a tape, to print from, to stop in, and to read in a table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hftlab.assumptions import Fees, Latency, latency_rows
from hftlab.backtesting.run import play
from hftlab.backtesting.timers import with_timers
from hftlab.data.frame import Frame
from hftlab.data.state import build
from hftlab.data.tape import Tape
from hftlab.errors import InputError, UserCodeError
from hftlab.instrument import Instrument, Number, decimal
from hftlab.kernels import checks
from hftlab.params import Limits, Quoter, UserQuoter
from hftlab.strict import keywords
from hftlab.types import EVENT, LAST, NO_PRICE, OK
from hftlab.usercode.functions import plain
from hftlab.usercode.lint import check
from hftlab.usercode.run import blame, runner, say_when

if TYPE_CHECKING:
    import pandas as pd


@keywords
def try_decide(
    decide: Any,
    tape: Tape | Frame,
    *,
    limits: Limits | None = None,
    messages: int = 1000,
    latency: Latency | None = None,
    fees: Fees | None = None,
    timer_ms: float = 100.0,
) -> "pd.DataFrame":
    """Call `decide` as plain Python for the first `messages` messages of a tape, or once for a frame; return what it wished.

    One row a call: time, instrument, fair price, best prices, position, and the wish: `bid`, `bid_qty`, `ask`, `ask_qty`,
    `levels`; `note` says what is wrong with it. The engine is the compiled one, so the wishes are those of a backtest.
    `decide` is a function or an hl.UserQuoter. Raises UserCodeError with the table until then in its `report`, InputError.
    """
    instruments = tape.instruments
    wishes = _Wishes(instruments)
    if isinstance(tape, Frame):
        return _once(quoters_of(decide, instruments), tape, wishes)
    quoters = quoters_of(decide, instruments, tape)
    if messages < 1:
        raise InputError(f"messages was {messages}; wanted one or more.")
    state = build(
        instruments,
        quoters,
        tuple(limits or wide_limits(quoter) for quoter in quoters),
        fees=fees,
        latency=latency,
    )
    wishes.first = state.markets.ctypes.data
    run = runner(quoters[0].decide, jit=False, told=wishes.note)
    extra = latency_rows((latency or Latency(),) * len(instruments))
    try:
        play(state, run, with_timers(iter((_head(tape, messages).merge().rows,)), int(timer_ms * 1e6), extra=extra), None, lambda _: None)
    except UserCodeError as error:
        say_when(error, state.desk, (tape.rows,))
        error.report = wishes.frame()
        raise
    return wishes.frame()


def quoters_of(decide: Any, instruments: Sequence[Instrument], tape: Tape | None = None) -> tuple[UserQuoter, ...]:
    """Return `decide` as a UserQuoter for each instrument; a bare function gets small orders that the venue takes."""
    if isinstance(decide, UserQuoter):
        return (decide,) * len(instruments)
    return tuple(UserQuoter(decide=decide, order_qty=small_order(one, i, tape)) for i, one in enumerate(instruments))


def small_order(instrument: Instrument, i: int, tape: Tape | None) -> Number:
    """Return a quantity of instrument `i` worth three times what the venue wants at least, at its first price on the tape."""
    rows = tape.rows if tape is not None else np.zeros(0, EVENT)
    prices = rows["price_ticks"][(rows["instrument"] == i) & (rows["price_ticks"] > 0)]
    if not instrument.notional_quote_min or instrument.inverse or not len(prices):
        return instrument.lot_size
    return instrument.qty(max(1, -(-3 * instrument.ticklots(instrument.notional_quote_min) // int(prices[0]))))


def wide_limits(quoter: Quoter) -> Limits:
    """Return limits that a first try does not meet: a position of ten orders, and money without end."""
    return Limits(position_qty_max=10 * decimal(quoter.order_qty, "order_qty"), capital_quote=1e12, loss_quote_max=1e12)


def _head(tape: Tape, messages: int) -> Tape:
    ends = np.flatnonzero((tape.rows["flags"] & LAST) != 0)
    return tape if len(ends) <= messages else Tape(tape.rows[: ends[messages - 1] + 1], tape.instruments, tape.source, tape.notes)


def _once(quoters: Sequence[UserQuoter], frame: Frame, wishes: "_Wishes") -> "pd.DataFrame":
    """Ask once for each market of a published moment, on copies of it."""
    function = check(quoters[0].decide)
    interpreted = plain(function)
    desk, markets = np.array([frame.desk]).view(np.recarray), np.array(frame.markets).view(np.recarray)
    wishes.first = markets.ctypes.data
    for i, instrument in enumerate(frame.instruments):
        market = markets[i]
        markets["params"][i : i + 1] = quoters[i].record(instrument)
        for name in ("bid_lots", "ask_lots", "levels", "step_ticks"):
            setattr(market.quote, name, 0)
        try:
            interpreted(desk[0], market, market.params, market.quote)
        except Exception as error:  # why: a user's function may raise anything
            raise blame(error, function, desk, markets) from None
        wishes.note(desk[0], market)
    return wishes.frame()


class _Wishes:
    """Collects one line for each call of decide."""

    def __init__(self, instruments: tuple[Instrument, ...]) -> None:
        self._instruments, self._lines = instruments, list[tuple[Any, ...]]()
        self.first = 0  # where the markets lie in memory: which one a call is about

    def note(self, desk: Any, market: Any) -> None:
        """Write down the wish that stands in a market now."""
        one = self._instruments[(market.__array_interface__["data"][0] - self.first) // market.dtype.itemsize]
        wish, tick, lot = market.quote, float(one.tick_size), float(one.lot_size)
        bid, ask = (
            float(price * tick) if lots > 0 else np.nan
            for price, lots in ((wish.bid_ticks, wish.bid_lots), (wish.ask_ticks, wish.ask_lots))
        )
        best = [float(p * tick) if p != NO_PRICE else np.nan for p in (market.book.best_bid_ticks, market.book.best_ask_ticks)]
        self._lines.append(
            (
                int(desk.now_ns),
                one.symbol,
                float(market.fair_ticks) * tick,
                *best,
                int(market.position_lots) * lot,
                bid,
                max(int(wish.bid_lots), 0) * lot,
                ask,
                max(int(wish.ask_lots), 0) * lot,
                int(wish.levels),
                _note(wish),
            )
        )

    def frame(self) -> "pd.DataFrame":
        """Return the calls as a table."""
        import pandas as pd

        names = ["ts", "instrument", "fair", "best_bid", "best_ask", "position_base", "bid", "bid_qty", "ask", "ask_qty", "levels", "note"]
        table = pd.DataFrame(self._lines, columns=names)
        return table.assign(ts=pd.to_datetime(table["ts"], utc=True))


def _note(wish: Any) -> str:
    if checks.quote_verdict(wish) != OK:
        crossed = wish.bid_lots > 0 and wish.ask_lots > 0 and wish.bid_ticks >= wish.ask_ticks
        return "refused: the bid is not below the ask" if crossed else "refused: not a price (out of a NaN or an infinity?)"
    if wish.levels < 1 and (wish.bid_lots > 0 or wish.ask_lots > 0):
        return "nothing shown: levels is 0"
    return ""
