"""Who signed: the tokens (JWT) of the simulated Advanced Trade, verified with the public half of an account's key."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tickhive_coinbase.simulated.account import SimulatedAccount
from tickhive_coinbase.simulated.venue import SECOND

LIFETIME_SECONDS = 120
_SKEW_SECONDS = 5


def account_of(
    accounts: Iterable[SimulatedAccount], token: str, now: int, used: set[str], uri: str = ""
) -> SimulatedAccount | str:
    """Whose token this is, or why it is nobody's. ``used`` are the nonces so far; a socket's have no ``uri``."""
    try:
        head, body, signature = token.split(".")
        header, claims = _read(head), _read(body)
        raw = urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    except (ValueError, msgspec.DecodeError):
        return "a token has three parts"
    account = next((each for each in accounts if each.key == header.get("kid")), None)
    if account is None or claims.get("sub") != account.key or claims.get("iss") != "cdp":
        return "unknown key"
    if header.get("alg") != "ES256" or header.get("typ") != "JWT" or len(raw) != 64:
        return "wrong algorithm"
    numbers = (int.from_bytes(half, "big") for half in (raw[:32], raw[32:]))
    try:
        _public_key(account.secret).verify(
            encode_dss_signature(*numbers), f"{head}.{body}".encode(), ec.ECDSA(SHA256())
        )
    except InvalidSignature:
        return "invalid signature"
    began, ends, seconds = claims.get("nbf"), claims.get("exp"), now // SECOND
    if not isinstance(began, int) or not isinstance(ends, int) or ends - began > LIFETIME_SECONDS:
        return "a token lives two minutes"
    if not began - _SKEW_SECONDS <= seconds < ends:
        return "token expired"
    if claims.get("uri", "") != uri:
        return "wrong uri"
    nonce = header.get("nonce")
    if not isinstance(nonce, str) or len(nonce) < 16 or nonce in used:
        return "a nonce is used once"
    used.add(nonce)
    return account


def _read(part: str) -> dict[str, Any]:
    value = msgspec.json.decode(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    if not isinstance(value, dict):
        raise ValueError("no object")
    return value


@lru_cache(maxsize=64)
def _public_key(secret: str) -> ec.EllipticCurvePublicKey:
    key = load_pem_private_key(secret.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.public_key()
