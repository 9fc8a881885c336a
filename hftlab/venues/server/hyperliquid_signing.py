"""Who signed a Hyperliquid action: EIP-712 digests and the address behind a signature.

An L1 action is hashed as msgpack, with its nonce, into the `connectionId` of a phantom agent whose `source` is "a" (mainnet) or "b"
(testnet); a user-signed action is hashed field by field under `HyperliquidTransaction:<Name>`.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from coincurve import PublicKey
from Crypto.Hash import keccak as _keccak

from hftlab.errors import InputError

SOURCES = ("a", "b")

USER_SIGNED: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "approveBuilderFee": (
        "ApproveBuilderFee",
        (("hyperliquidChain", "string"), ("maxFeeRate", "string"), ("builder", "address"), ("nonce", "uint64")),
    ),
    "approveAgent": (
        "ApproveAgent",
        (("hyperliquidChain", "string"), ("agentAddress", "address"), ("agentName", "string"), ("nonce", "uint64")),
    ),
}
"""The user-signed actions that this exchange knows: type -> (name, fields in order)."""


def keccak(data: bytes) -> bytes:
    """Return the Keccak-256 of some bytes."""
    return _keccak.new(digest_bits=256, data=data).digest()


def address_of(public_key: PublicKey) -> str:
    """Return the lower-case address of a public key."""
    return "0x" + keccak(public_key.format(compressed=False)[1:])[-20:].hex()


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def address_bytes(text: str) -> bytes:
    """Return the 20 bytes of an address, with or without 0x. Raises InputError."""
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except (ValueError, AttributeError) as error:
        raise InputError(f"address was {text!r}; wanted 0x and 40 hex digits.") from error
    if len(raw) != 20:
        raise InputError(f"address was {text!r}; wanted 0x and 40 hex digits.")
    return raw


def _domain(name: str, chain_id: int) -> bytes:
    kind = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    return keccak(kind + keccak(name.encode()) + keccak(b"1") + _word(chain_id) + _word(0))


_L1_DOMAIN = _domain("Exchange", 1337)
_AGENT_TYPE = keccak(b"Agent(string source,bytes32 connectionId)")


def action_hash(action: Any, nonce: int, vault: str | None, expires_ms: int | None) -> bytes:
    """Return the `connectionId` of an L1 action; the order of its keys counts. Raises InputError."""
    data = msgspec.msgpack.encode(action) + nonce.to_bytes(8, "big") + (b"\x00" if vault is None else b"\x01" + address_bytes(vault))
    return keccak(data if expires_ms is None else data + b"\x00" + expires_ms.to_bytes(8, "big"))


def l1_digest(connection_id: bytes, source: str) -> bytes:
    """Return what is signed for an L1 action; `source` is "a" or "b"."""
    return keccak(b"\x19\x01" + _L1_DOMAIN + keccak(_AGENT_TYPE + keccak(source.encode()) + connection_id))


def _encoded(kind: str, value: Any) -> bytes:
    if kind == "string":
        return keccak(str(value).encode())
    if kind == "address":
        return address_bytes(value).rjust(32, b"\x00")
    return _word(int(value))


def user_digest(action: Mapping[str, Any]) -> bytes:
    """Return what is signed for a user-signed action of USER_SIGNED. Raises InputError, KeyError, ValueError."""
    name, fields = USER_SIGNED[action["type"]]
    kind = f"HyperliquidTransaction:{name}({','.join(f'{what} {field}' for field, what in fields)})"
    body = keccak(kind.encode()) + b"".join(_encoded(what, action.get(field) or "") for field, what in fields)
    chain_id = int(action["signatureChainId"], 16)
    return keccak(b"\x19\x01" + _domain("HyperliquidSignTransaction", chain_id) + keccak(body))


def signer(digest: bytes, signature: Mapping[str, Any]) -> str:
    """Return the lower-case address that signed a digest; any well-formed signature has one. Raises InputError."""
    try:
        r, s, v = int(signature["r"], 16), int(signature["s"], 16), int(signature["v"])
        raw = _word(r) + _word(s) + bytes([v - 27 if v >= 27 else v])
        return address_of(PublicKey.from_signature_and_message(raw, digest, hasher=None))
    except Exception as error:  # why: coincurve raises bare Exception for what is no signature
        raise InputError(f"signature was {dict(signature) if isinstance(signature, Mapping) else signature!r}; wanted r, s, v.") from error
