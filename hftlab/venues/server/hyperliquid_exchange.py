"""POST /exchange of Hyperliquid: who signed, may it, and what becomes of it."""

from typing import Any

import msgspec

from hftlab.errors import InputError
from hftlab.venues.server.hyperliquid_limits import Nonces
from hftlab.venues.server.hyperliquid_orders import Failed, HyperliquidOrders
from hftlab.venues.server.hyperliquid_signing import SOURCES, action_hash, address_bytes, l1_digest, signer, user_digest
from hftlab.venues.server.hyperliquid_state import HyperliquidState
from hftlab.venues.server.hyperliquid_wire import (
    DECODE_ERRORS,
    Action,
    ApproveAgent,
    ApproveBuilderFee,
    BatchModify,
    CancelCloids,
    CancelOids,
    Modify,
    PlaceOrders,
    Request,
    ScheduleCancel,
    UpdateLeverage,
    action_of,
    batch_size,
    cancels,
)
from hftlab.venues.server.skin import Reply

DEFAULT = {"type": "default"}
_NO_ADDRESS = "0x" + "0" * 40
_DAY_MS = 86_400_000
_AGENT_LIFE_MS = 90 * _DAY_MS


def unreadable(text: str = "Failed to deserialize the JSON body into the target type") -> Reply:
    """Return the venue's answer to a body that it cannot read."""
    return Reply(text, 422)


class HyperliquidExchange:
    """Checks signatures, nonces and budgets, then does what an action says."""

    def __init__(self, state: HyperliquidState) -> None:
        self._state = state
        self._nonces = Nonces()
        self._orders = HyperliquidOrders(state)

    def answer(self, request: Request) -> Reply:
        """Do what one request asks; whatever is wrong with it is in the reply."""
        try:
            action = action_of(request)
            address = self._who(action, request)
            self._may(address, action, request.expires_after)
            response = self._do(address, action)
        except Failed as error:
            return Reply({"status": "err", "response": str(error)})
        except (InputError, *DECODE_ERRORS):
            return unreadable()
        return Reply({"status": "ok", "response": response})

    def _do(self, address: str, action: Action) -> Any:
        match action:
            case PlaceOrders():
                return self._orders.place(address, action)
            case CancelOids() | CancelCloids():
                return self._orders.cancel(address, action)
            case Modify():
                return self._orders.modify(address, action)
            case BatchModify():
                return self._orders.batch_modify(address, action)
            case ScheduleCancel():
                self._schedule(address, action.time)
            case UpdateLeverage():
                self._leverage(address, action)
            case ApproveBuilderFee():
                self._state.user(address).builders[action.builder.lower()] = action.fee_rate_max
            case ApproveAgent():
                self._approve_agent(address, action)
        return DEFAULT  # also of noop, whose nonce is used up, and of setReferrer

    # --- who and whether ---
    def _who(self, action: Action, request: Request) -> str:
        """Return the account that an action is for. Raises Failed, InputError."""
        signature = msgspec.structs.asdict(request.signature)
        if isinstance(action, ApproveBuilderFee | ApproveAgent):
            address = signer(user_digest(request.action), signature)
            if self._state.core.account(address) is None:
                raise Failed(f"Must deposit before performing actions. User: {address}")
            self._check_nonce(address, request.nonce)
            return address
        connection_id = action_hash(request.action, request.nonce, request.vault_address, request.expires_after)
        # The client chooses the source by its own idea of the network: an exchange on loopback takes both.
        signers = [signer(l1_digest(connection_id, source), signature) for source in SOURCES]
        known = [(one, account) for one in signers if (account := self._state.account_of(one)) is not None]
        if not known:
            raise Failed(f"User or API Wallet {signers[0]} does not exist.")
        self._check_nonce(known[0][0], request.nonce)
        return self._acting_for(known[0][1], request.vault_address)

    def _acting_for(self, account: str, vault: str | None) -> str:
        if vault is None:
            return account
        address = "0x" + address_bytes(vault).hex()
        if self._state.vaults.get(address) != account or self._state.core.account(address) is None:
            raise Failed(f"Vault not registered: {address}")
        return address

    def _check_nonce(self, address: str, nonce: int) -> None:
        said = self._nonces.refuses(address, nonce, self._state.now_ms())
        if said:
            raise Failed(said)

    def _may(self, address: str, action: Action, expires_ms: int | None) -> None:
        """Raise Failed when the action is too old, or its address has used up its requests."""
        if expires_ms is not None and self._state.now_ms() > expires_ms:
            raise Failed("Action already expired")
        user = self._state.user(address)
        now_ns = self._state.core.now_ns()
        said = user.budget.refuses(batch_size(action), user.traded_quote, now_ns, self._state.rules, cancels=cancels(action))
        if said:
            raise Failed(said)

    # --- the small actions ---
    def _schedule(self, address: str, due_ms: int | None) -> None:
        user, rules, now_ms = self._state.user(address), self._state.rules, self._state.now_ms()
        if user.traded_quote < rules.schedule_traded_quote_min:
            raise Failed(
                "Cannot set scheduled cancel time until enough volume traded. "
                f"Required: ${rules.schedule_traded_quote_min}. Traded: ${user.traded_quote.normalize():f}."
            )
        if due_ms is not None and due_ms < now_ms + rules.schedule_ahead_s * 1000:
            raise Failed(f"Scheduled cancel time too early, must be at least {rules.schedule_ahead_s:g} seconds from now.")
        if due_ms is not None and user.triggers == (now_ms // _DAY_MS, rules.schedule_triggers_per_day):
            raise Failed("Too many scheduled cancels were triggered today.")
        user.schedule_ms = due_ms or 0

    def due(self) -> None:
        """Cancel everything of the addresses whose scheduled cancel is due."""
        now_ms = self._state.now_ms()
        for address, user in self._state.users.items():
            if not 0 < user.schedule_ms <= now_ms:
                continue
            user.schedule_ms = 0
            day, count = user.triggers
            today = now_ms // _DAY_MS
            user.triggers = (today, count + 1 if day == today else 1)
            user.scheduled.update(order.order_id for order in self._state.core.open_orders(address))
            self._state.core.cancel_all(address)

    def _approve_agent(self, address: str, action: ApproveAgent) -> None:
        """Approve an agent, in place of an earlier one of that name; the zero address only removes."""
        agents = self._state.user(address).agents
        name, _, until = (action.agent_name or "").partition(" valid_until ")
        for agent in [one for one, (known, _) in agents.items() if known == name]:
            del agents[agent]
        agent = "0x" + address_bytes(action.agent_address).hex()
        if agent != _NO_ADDRESS:
            agents[agent] = (name, int(until) if until.isdigit() else self._state.now_ms() + _AGENT_LIFE_MS)

    def _leverage(self, address: str, action: UpdateLeverage) -> None:
        if not 1 <= action.leverage <= self._state.rules.leverage_max or not 0 <= action.asset < len(self._state.coins):
            raise Failed("Invalid leverage value")
        coin = self._state.coins[action.asset]
        self._state.core.set_leverage(address, coin, action.leverage)
        isolated = self._state.user(address).isolated
        isolated.discard(coin) if action.is_cross else isolated.add(coin)
