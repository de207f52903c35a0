"""Signatures: tokens verified with the public key, HMACs computed again."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64decode, b64encode, urlsafe_b64decode
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tickhive.channels import EVERY, Channel, DataType
from tickhive.errors import PluginError
from tickhive.plugin import Credentials, Fetch
from tickhive_coinbase.advanced import plugin as advanced
from tickhive_coinbase.advanced.tokens import token
from tickhive_coinbase.exchange import plugin as exchange

AT = 1_791_369_351_500_000_000
NOW = AT // 10**9
PRIVATE = "https://api.coinbase.com/api/v3/brokerage/orders/historical/fills?limit=250#left=250"


def part(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def opened(jwt: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    head, body, signature = jwt.split(".")
    return json.loads(part(head)), json.loads(part(body)), f"{head}.{body}".encode(), part(signature)


def verify(secret: str, said: bytes, signature: bytes) -> None:
    halves = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    key = load_pem_private_key(secret.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    key.public_key().verify(encode_dss_signature(*halves), said, ec.ECDSA(SHA256()))


def test_a_subscription_carries_a_token_of_its_own(advanced_view: Any, keys: dict[str, Credentials]) -> None:
    key = keys["coinbase"]
    sent = advanced_view.ask(Channel("BTC-USD", "BTC-USD", DataType.TRADE), credentials=key, at=AT)
    nonces = set()
    for message in sent:
        header, claims, said, signature = opened(message["jwt"])
        verify(key.secret, said, signature)
        nonces.add(header.pop("nonce"))
        assert header == {"alg": "ES256", "kid": key.key, "typ": "JWT"}
        assert claims == {"iss": "cdp", "sub": key.key, "nbf": NOW, "exp": NOW + 120}
    assert len(nonces) == len(sent) == 2


def test_a_request_about_the_account_names_itself(keys: dict[str, Credentials]) -> None:
    signed = advanced.sign(Fetch(PRIVATE), keys["coinbase"], AT)
    _, claims, said, signature = opened(signed.headers["Authorization"].removeprefix("Bearer "))
    verify(keys["coinbase"].secret, said, signature)
    assert claims["uri"] == "GET api.coinbase.com/api/v3/brokerage/orders/historical/fills"
    assert signed.url == PRIVATE
    with pytest.raises(InvalidSignature):
        verify(keys["coinbase"].secret, said + b"x", signature)


@pytest.mark.parametrize("path", ["market/products?limit=1", "market/products/BTC-USD/ticker", "time"])
def test_public_requests_go_out_as_they_are(keys: dict[str, Credentials], path: str) -> None:
    fetch = Fetch(f"https://api.coinbase.com/api/v3/brokerage/{path}")
    assert advanced.sign(fetch, keys["coinbase"], AT) is fetch
    assert advanced.sign(Fetch(PRIVATE), None, AT).headers == {}


def test_line_ends_may_be_written_out(keys: dict[str, Credentials]) -> None:
    key = keys["coinbase"]
    jwt = token(Credentials("main", key.key, key.secret.replace("\n", "\\n")), AT)
    verify(key.secret, *opened(jwt)[2:])


def test_an_ed25519_key_signs_with_eddsa() -> None:
    private = ed25519.Ed25519PrivateKey.from_private_bytes(b"a made-up key of thirty-two byte")
    secret = b64encode(private.private_bytes_raw() + private.public_key().public_bytes_raw()).decode()
    header, _, said, signature = opened(token(Credentials("main", "name", secret), AT))
    assert header["alg"] == "EdDSA"
    private.public_key().verify(signature, said)


@pytest.mark.parametrize(
    "secret", ["", "nonsense-3381", "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----"]
)
def test_a_secret_that_is_no_key_is_said_without_being_shown(secret: str) -> None:
    with pytest.raises(PluginError, match="account 'main' has") as refused:
        token(Credentials("main", "name-77ab01", secret), AT)
    assert not secret or secret not in str(refused.value)
    assert "name-77ab01" not in str(refused.value)


def mac(secret: str, text: str) -> str:
    return b64encode(hmac.new(b64decode(secret), text.encode(), hashlib.sha256).digest()).decode()


def test_exchange_signs_subscriptions_that_need_it(make_view: Any, keys: dict[str, Credentials]) -> None:
    view, key = make_view("coinbase-exchange"), keys["coinbase-exchange"]
    wanted = [Channel("BTC-USD", "BTC-USD", DataType.ORDERBOOK, "level2"), Channel(EVERY, EVERY, DataType.BALANCE)]
    book, _heartbeat, balance = view.ask(*wanted, credentials=key)
    for message in (book, balance):
        assert message["signature"] == mac(key.secret, f"{NOW}GET/users/self/verify")
        assert (message["key"], message["passphrase"], message["timestamp"]) == (key.key, key.passphrase, str(NOW))
    for public in view.ask(Channel("BTC-USD", "BTC-USD", DataType.TRADE), credentials=key):
        assert "signature" not in public
    view.settings.direct = True
    (direct,) = view.ask(Channel("BTC-USD", "BTC-USD", DataType.TICKER), credentials=key)
    assert "signature" in direct


def test_exchange_signs_requests_with_their_query(keys: dict[str, Credentials]) -> None:
    key = keys["coinbase-exchange"]
    signed = exchange.sign(Fetch("https://api.exchange.coinbase.com/fills?product_id=BTC-USD&limit=5#next=1"), key, AT)
    assert signed.headers == {
        "CB-ACCESS-KEY": key.key,
        "CB-ACCESS-SIGN": mac(key.secret, f"{NOW}GET/fills?product_id=BTC-USD&limit=5"),
        "CB-ACCESS-TIMESTAMP": str(NOW),
        "CB-ACCESS-PASSPHRASE": key.passphrase,
    }
    public = Fetch("https://api.exchange.coinbase.com/products")
    assert exchange.sign(public, key, AT) is public


def test_exchange_says_which_part_is_wrong() -> None:
    fetch = Fetch("https://api.exchange.coinbase.com/accounts")
    with pytest.raises(PluginError, match="has no passphrase"):
        exchange.sign(fetch, Credentials("main", "k", "c2VjcmV0"), AT)
    with pytest.raises(PluginError, match="not what Coinbase Exchange hands out"):
        exchange.sign(fetch, Credentials("main", "k", "not base64!", "p"), AT)
