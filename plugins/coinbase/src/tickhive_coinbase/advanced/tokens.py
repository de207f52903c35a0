"""Who we are: a token (JWT) for each subscription and each private REST request, good for two minutes.

Pages "WebSocket authentication" and "API key authentication" of Advanced Trade, read 2026-08-22. Keys are EC keys
(ES256); that Ed25519 keys sign with EdDSA is said elsewhere and was not tried.
"""

from __future__ import annotations

import binascii
import os
from base64 import b64decode, urlsafe_b64encode
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import urlsplit

import msgspec
from attrs import evolve
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tickhive.errors import PluginError
from tickhive.plugin import Credentials, Fetch, hookimpl
from tickhive.plugin.reading import NS_PER_SECOND
from tickhive_coinbase.advanced.settings import PREFIX, REST

PARTS = ("key", "secret")
LIFETIME_SECONDS = 120

_HOST = urlsplit(REST).netloc
_CURVE = "secp256r1"
_COORDINATE = 32  # bytes of each half of a signature
_ED25519 = 64  # bytes: the private key, then the public one

_Key: TypeAlias = EllipticCurvePrivateKey | Ed25519PrivateKey


@hookimpl
def sign(fetch: Fetch, credentials: Credentials | None, at: int) -> Fetch:
    """Sign a request about the account; public ones go out as they are."""
    url = urlsplit(fetch.url)
    path = url.path.partition(PREFIX)[2]
    if credentials is None or not path or path == "time" or path.startswith("market/"):
        return fetch
    # The venue signs for its own host, whatever address leads there, and leaves the query out.
    bearer = token(credentials, at, f"{fetch.method} {_HOST}{PREFIX}{path}")
    return evolve(fetch, headers={**fetch.headers, "Authorization": f"Bearer {bearer}"})


def token(credentials: Credentials, at: int, uri: str = "") -> str:
    """Make a token for this moment; ``uri`` is the request it is for, none for a subscription.

    PluginError when the account's secret is no key.
    """
    lacking = ", ".join(part for part in PARTS if not getattr(credentials, part))
    if lacking:
        raise _unusable(credentials, f"has no {lacking}")
    key = _read_key(credentials.secret)
    if key is None:
        raise _unusable(credentials, "has a secret that is no key of Coinbase's")
    now = at // NS_PER_SECOND
    algorithm = "EdDSA" if isinstance(key, Ed25519PrivateKey) else "ES256"
    header = {"alg": algorithm, "kid": credentials.key, "nonce": os.urandom(16).hex(), "typ": "JWT"}
    claims = {"iss": "cdp", "sub": credentials.key, "nbf": now, "exp": now + LIFETIME_SECONDS}
    if uri:
        claims["uri"] = uri
    said = b".".join(_part(msgspec.json.encode(each)) for each in (header, claims))
    return (said + b"." + _part(_signature(key, said))).decode()


def _part(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _signature(key: _Key, said: bytes) -> bytes:
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(said)
    r, s = decode_dss_signature(key.sign(said, ECDSA(SHA256())))
    return r.to_bytes(_COORDINATE, "big") + s.to_bytes(_COORDINATE, "big")


@lru_cache(maxsize=64)
def _read_key(secret: str) -> _Key | None:
    """Read the private key Coinbase hands out: PEM, its line ends often written out, or Ed25519 in Base64."""
    try:
        if "-----BEGIN" not in secret:
            raw = b64decode(secret, validate=True)
            return Ed25519PrivateKey.from_private_bytes(raw[:32]) if len(raw) == _ED25519 else None
        key = load_pem_private_key(secret.replace("\\n", "\n").encode(), None)
    except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm):
        return None
    if isinstance(key, Ed25519PrivateKey) or (isinstance(key, EllipticCurvePrivateKey) and key.curve.name == _CURVE):
        return key
    return None


def _unusable(credentials: Credentials, what: str) -> PluginError:
    remedy = "Its key is the name of an API key (organizations/...), its secret the private key with its BEGIN line"
    cause = f"account {credentials.account!r} {what}"
    return PluginError("coinbase", cause, remedy, distribution="tickhive-coinbase")
