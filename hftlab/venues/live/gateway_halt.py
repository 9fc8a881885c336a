"""Getting out: cancel everything of ours, and ask the venue until nothing of ours rests. The simplest code here, on purpose."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hftlab.errors import VenueDown
from hftlab.types import CANCEL
from hftlab.venues.live.gateway_policy import Policy
from hftlab.venues.live.ids import Ids
from hftlab.venues.live.model import Broken, OrderRequest, OrderState, VenueEvent, Wire

_SAY_S = 10.0


@dataclass
class Cleared:
    """What a halt found and did. `found`: client ids that rested (the venue's ids of those without one); `seconds` until it was verified that none does."""

    found: list[str] = field(default_factory=list)
    looks: int = 0
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"found": list(self.found), "looks": self.looks, "seconds": self.seconds}


async def clear(
    wire: Wire,
    ours: Callable[[OrderState], bool],
    cancel: Callable[[OrderState], None],
    *,
    say: Callable[[str, str], None],
    settle_s: float,
    policy: Policy,
    unsettled: Callable[[], Sequence[str]] = tuple,
    account: Iterable[int] = (),
) -> Cleared:
    """Cancel whatever `ours` picks until the venue shows none, twice, `settle_s` apart, with nothing `unsettled` in between.

    `account`: instruments in which every order of the account is cancelled. A venue that does not answer is asked again for as
    long as it takes; any other error is raised.
    """
    loop = asyncio.get_running_loop()
    began_s = said_s = loop.time()
    clean_s = -1.0
    result = Cleared()
    asked: dict[tuple[int, str, str], float] = {}  # in the scope of an account some orders have no client id
    delay_s = policy.retry_min_s
    while True:
        try:
            for instrument in account:
                await wire.cancel_all(instrument)
            mine = [state for state in await wire.open_orders() if account or ours(state)]
        except VenueDown as error:
            say("error", f"halt: the venue does not answer ({error}); orders may rest. Trying on.")
            await asyncio.sleep(max(delay_s, error.retry_after_s))
            delay_s = min(2 * delay_s, policy.retry_max_s)
            continue
        delay_s = policy.retry_min_s
        result.looks += 1
        for state in mine:
            name = state.instrument, state.client_id, "" if state.client_id else state.venue_id
            if loop.time() - asked.get(name, -policy.recancel_s) >= policy.recancel_s:
                asked[name] = loop.time()
                cancel(state)
        result.found = [client_id or venue_id for _, client_id, venue_id in asked]
        waits_for = [state.client_id or state.venue_id for state in mine] or list(unsettled())
        now_s = loop.time()
        if waits_for:
            clean_s = -1.0
        elif clean_s < 0:
            clean_s = now_s
        elif now_s - clean_s >= settle_s:
            result.seconds = now_s - began_s
            return result
        if now_s - said_s >= _SAY_S:
            said_s = now_s
            say("error", f"halt: {len(waits_for)} orders may still rest at {wire.venue}: {', '.join(waits_for[:5])}. Trying on.")
        await asyncio.sleep(policy.retry_min_s)


async def sweep(
    wire: Wire, tag: str, say: Callable[[str, str], None] = lambda _level, _text: None, policy: Policy | None = None
) -> Cleared:
    """Cancel every order of a run, and verify it: for the process that watches an engine, when the engine has died.

    What the engine sent last may still be on its way, so the venue must show nothing for `Policy.gone_s`. The wire is opened and
    closed here. Raises what the wire raises for what cannot be tried again, such as refused keys, and VenueDown when a part of the wire
    has ended for good: cancels would no longer leave, and a new wire must try.
    """
    policy, ids = policy or Policy(), Ids(wire.venue, tag)
    numbers = iter(range(1, 1 << 62))

    broken: list[BaseException] = []

    def hear(event: VenueEvent) -> None:  # what rests is asked for, so no answer is needed
        if isinstance(event, Broken):
            broken.append(event.error)

    def cancel(state: OrderState) -> None:
        if broken:
            raise VenueDown(f"a part of the {wire.venue} wire has ended, so no cancel may leave: {type(broken[0]).__name__}: {broken[0]}")
        wire.send(OrderRequest(next(numbers), CANCEL, state.client_id, state.venue_id, state.instrument, state.side, 0, 0, 0))

    wire.on_event = hear
    delay_s = policy.retry_min_s
    while True:
        try:
            await wire.open()
            break
        except VenueDown as error:
            say("error", f"sweep: {wire.venue} does not answer ({error}); orders may rest. Trying on.")
            await asyncio.sleep(max(delay_s, error.retry_after_s))
            delay_s = min(2 * delay_s, policy.retry_max_s)
    try:
        return await clear(
            wire, lambda state: ids.parse(state.client_id) is not None, cancel, say=say, settle_s=policy.gone_s, policy=policy
        )
    finally:
        await wire.close()
