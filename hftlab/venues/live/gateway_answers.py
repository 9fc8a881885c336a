"""What the answer to one request means, or the lack of one."""

from collections.abc import Callable

from hftlab.types import AMEND, CANCEL, CANCEL_REJECTED, FREE, LOST, REJECTED, SUBMIT
from hftlab.venues.live.book_of_orders import Order
from hftlab.venues.live.gateway_facts import Facts, ended_by
from hftlab.venues.live.gateway_sender import Sender
from hftlab.venues.live.limiter import Limiter
from hftlab.venues.live.model import Answer, OrderRequest, Outcome, Reject

# A venue that says "too many" without a time is left alone for so long.
RETRY_S = 1.0
# What a cancelled order had filled is asked for after so long: user streams usually say it within milliseconds.
FILLED_S = 0.25


class Answers:
    """Applies Answers to the facts. `alarm(reason)` is for what a person must see to, `say(level, text)` for what they may read."""

    def __init__(
        self, facts: Facts, sender: Sender, limiter: Limiter, *, say: Callable[[str, str], None], alarm: Callable[[str], None]
    ) -> None:
        self._facts, self._sender, self._limiter, self._say, self._alarm = facts, sender, limiter, say, alarm
        self._teller = facts.teller

    def answer(self, answer: Answer) -> None:
        """Apply one answer: what it says of the order first, then what it says of the request."""
        sent = self._sender.answered(answer.number)
        if sent is None:
            self._teller.counts["duplicates dropped"] += 1
        if sent is not None and sent.order is not None and sent.request.kind == SUBMIT and answer.outcome == Outcome.DONE:
            ends_empty = answer.state is not None and answer.state.status != "open" and not answer.state.filled_lots
            if not ends_empty:
                self._facts.accepted(sent.order, answer.state.ts_ns if answer.state is not None else 0)
        for fill in answer.fills:
            self._facts.fill(fill)
        if sent is None:
            if answer.state is not None:
                self._facts.state(answer.state)
            return
        limited = answer.reason == Reject.RATE and answer.outcome in {Outcome.REJECTED, Outcome.NOT_SENT}
        if answer.retry_after_s > 0 or limited:
            banned = sent.request.kind == CANCEL or "418" in answer.text or "banned" in answer.text.lower()
            self._limiter.stop(answer.retry_after_s or RETRY_S, everything=banned)
            self._say("warn", f"the venue asks for {answer.retry_after_s or RETRY_S:g} s of quiet: {answer.text or 'too many requests'}")
        if answer.reason == Reject.KEYS:
            self._alarm(f"the venue refuses the keys: {answer.text}")
        if sent.order is None:
            return
        if answer.outcome == Outcome.DONE:
            self._done(sent.order, sent.request, answer)
        elif answer.outcome == Outcome.UNSURE:
            self.unsure(sent.order, sent.request)
        elif answer.outcome == Outcome.NOT_SENT or limited:
            self._not_sent(sent.order, sent.request)
        else:
            self._refused(sent.order, sent.request, answer)

    def _done(self, order: Order, request: OrderRequest, answer: Answer) -> None:
        state = answer.state
        if request.kind == CANCEL:
            order.canceling = False
        if request.kind == AMEND and request is order.amending:
            if state is not None and state.status != "open":
                order.amending = None  # the amend ended the order
            elif request.new_client_id:
                self._facts.switch(order, state, state.ts_ns if state is not None else 0)
            else:
                price_ticks, lots = (state.price_ticks, state.qty_lots) if state is not None else (request.price_ticks, request.qty_lots)
                self._facts.amended(order, price_ticks, lots, state.ts_ns if state is not None else 0)
        if state is not None:
            self._facts.state(state)
        if request.kind == CANCEL and order.status != FREE and order.end is None:
            self._facts.ask(order, FILLED_S)  # cancelled, but how much of it had traded is not said

    def unsure(self, order: Order, request: OrderRequest) -> None:
        """Apply silence, a time-out, a reset: it may or may not have happened."""
        self._teller.counts["unsure answers"] += 1
        if request.kind == SUBMIT:
            open_question = order.unplaced
        elif request.kind == AMEND:
            open_question = request is order.amending
        else:
            open_question = True
            order.canceling = False
        if open_question:
            self._facts.doubt(order)

    def _not_sent(self, order: Order, request: OrderRequest) -> None:
        if request.kind == CANCEL:
            order.canceling = False
            self._sender.again(order, RETRY_S / 4)
        elif request.kind == AMEND:
            self._amend_refused(order, request)
        elif order.unplaced:
            self._teller.report(order, REJECTED)
            self._facts.resolved(order)

    def _refused(self, order: Order, request: OrderRequest, answer: Answer) -> None:
        self._teller.counts[f"refused: {answer.reason or Reject.OTHER}"] += 1
        if request.kind == SUBMIT:
            if answer.reason == Reject.DUPLICATE_ID or not order.unplaced:
                self._facts.doubt(order)  # our own id is in use: it was accepted already
            else:
                self._teller.report(order, REJECTED)
                self._facts.resolved(order)
        elif request.kind == AMEND:
            self._amend_refused(order, request)
            if answer.state is not None:
                self._facts.state(answer.state)
            if ended_by(answer.reason):
                self._facts.doubt(order)
        else:
            order.canceling = False
            self._teller.report(order, CANCEL_REJECTED)
            self._facts.doubt(order)  # "no such order" is not "cancelled"

    def _amend_refused(self, order: Order, request: OrderRequest) -> None:
        if request is not order.amending:
            return
        order.amending = None
        self._teller.report(order, REJECTED)
        if order.status != LOST:
            self._facts.resolved(order)
        if order.cancel_wanted and request.new_client_id:
            self._sender.cancel(order)
