"""Which sockets there are, what is sent on them, and what the answers without ids mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tickhive.channels import EVERY, Channel, DataType, Instrument
from tickhive.plugin import Accepted, Alive, LastTrade, Limit, Rejected, Unknown, Unsubscribed
from tickhive_coinbase.refusals import kind_of

PAIRS = ["coinbase", "coinbase-exchange"]


def connect(view: Any, *channels: Channel, credentials: Any = None, dials: Any = ()) -> Any:
    return view.plugin.connect(channels, view.settings, credentials, dials)


@pytest.mark.parametrize("exchange", PAIRS)
def test_ours_that_come_together_share_a_socket_and_those_there_are_stay(
    make_view: Any, channel: Any, exchange: str
) -> None:
    view = make_view(exchange)
    view.settings.channels_per_connection = 2
    first = [channel("ticker"), channel("quote"), channel("trade")]
    (dial,) = connect(view, *first)
    assert dial.key == "market-1"
    assert dial.max_size > 16 * 1024 * 1024
    more = [*first, channel("trade", "ETH-USD"), channel("orderbook")]
    kept, added = connect(view, *more, dials=(dial,))
    assert kept.channels == dial.channels
    assert (added.key, set(added.channels)) == ("market-2", set(more) - set(first))


@pytest.mark.parametrize("exchange", PAIRS)
def test_accounts_have_sockets_of_their_own(make_view: Any, channel: Any, keys: Any, exchange: str) -> None:
    view = make_view(exchange)
    wanted = [channel("trade"), Channel(EVERY, EVERY, DataType.ORDER), Channel(EVERY, EVERY, DataType.FILL)]
    market, account = connect(view, *wanted, credentials=keys[exchange])
    assert (market.key, account.key) == ("market-1", "account-1")
    assert account.channels == tuple(wanted[1:])
    if exchange == "coinbase":
        assert account.urls == ("wss://advanced-trade-ws-user.coinbase.com",)
        assert account.upkeep == 1.0


@pytest.mark.parametrize(
    ("exchange", "wanted", "says"),
    [
        ("coinbase", ["candle:1m"], "Coinbase has no candle:1m .* it has candle:5m"),
        ("coinbase", ["liquidation"], "has no liquidation"),
        ("coinbase-exchange", ["candle:1m"], "has no candle:1m"),
        ("coinbase-exchange", ["ticker", "ticker:batch"], "not both"),
        ("coinbase-exchange", ["orderbook:level2"], "sign in: name an account"),
        ("coinbase-exchange", ["orderbook", "orderbook:level2"], "not both"),
        ("coinbase", ["order"], "name an account"),
    ],
)
def test_what_is_not_there_is_refused(
    make_view: Any, channel: Any, exchange: str, wanted: list[str], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        connect(make_view(exchange), *map(channel, wanted))


@pytest.mark.parametrize(
    ("sandbox", "direct", "address"),
    [
        (False, False, "wss://ws-feed.exchange.coinbase.com"),
        (False, True, "wss://ws-direct.exchange.coinbase.com"),
        (True, False, "wss://ws-feed-public.sandbox.exchange.coinbase.com"),
        (True, True, "wss://ws-direct.sandbox.exchange.coinbase.com"),
    ],
)
def test_each_site_of_exchange_has_its_address(
    make_view: Any, channel: Any, keys: Any, sandbox: bool, direct: bool, address: str
) -> None:
    view = make_view("coinbase-exchange")
    view.settings.sandbox, view.settings.direct = sandbox, direct
    (dial,) = connect(view, channel("trade"), credentials=keys["coinbase-exchange"])
    assert dial.urls == (address,)


@pytest.mark.parametrize(
    ("exchange", "changed", "limits"),
    [
        ("coinbase", {}, {"dial": 8, "request": 8, "public": 10, "private": 30}),
        ("coinbase", {"public_requests": 5.0, "private_requests": 12.0}, {"public": 5, "private": 12}),
        ("coinbase-exchange", {}, {"dial": 8, "request": 10, "public": 10, "private": 15}),
        ("coinbase-exchange", {"messages": 100.0}, {"request": 100}),
    ],
)
def test_what_a_second_allows(
    make_view: Any, exchange: str, changed: dict[str, float], limits: dict[str, float]
) -> None:
    view = make_view(exchange)
    for name, value in changed.items():
        setattr(view.settings, name, value)
    found = view.plugin.limits(view.settings)
    assert {each.scope for each in found} == {"dial", "request", "public", "private"}
    assert [each for each in found if each.scope in limits] == [Limit(*each, 1.0) for each in limits.items()]


@pytest.mark.parametrize("url", [None, "ws://localhost:1"])
def test_addresses_of_exchange(make_view: Any, channel: Any, url: str | None) -> None:
    view = make_view("coinbase-exchange")
    view.settings.url, view.settings.sandbox = url, True
    (dial,) = connect(view, channel("trade"))
    assert dial.urls == (url or "wss://ws-feed-public.sandbox.exchange.coinbase.com",)


def test_exchange_asks_for_each_channel_and_heartbeats_where_trades_are_asked_for(
    exchange_view: Any, channel: Any
) -> None:
    sent = exchange_view.ask(channel("trade"), channel("trade", "ETH-USD"), channel("ticker"), channel("quote"))
    assert sent == [
        {"type": "subscribe", "product_ids": ["BTC-USD", "ETH-USD"], "channels": ["matches"]},
        {"type": "subscribe", "product_ids": ["BTC-USD", "ETH-USD"], "channels": ["heartbeat"]},
        {"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["ticker"]},
    ]
    assert len(exchange_view.ask(channel("orderbook"))) == 1
    added = exchange_view.ask(channel("trade", "SOL-USD"))
    assert [(each["channels"], each["product_ids"]) for each in added] == [
        (["matches"], ["SOL-USD"]), (["heartbeat"], ["SOL-USD"]),
    ]  # fmt: skip


def test_exchange_asks_for_one_heartbeat_where_no_trades_are(make_view: Any, channel: Any, keys: Any) -> None:
    view = make_view("coinbase-exchange")
    sent = view.ask(channel("ticker"), channel("ticker", "ETH-USD"), channel("orderbook"))
    assert [each["product_ids"] for each in sent if each["channels"] == ["heartbeat"]] == [["BTC-USD"]]
    account = make_view("coinbase-exchange")
    account.settings.account_products = ("ETH-USD", "BTC-USD")
    sent = account.ask(Channel(EVERY, EVERY, DataType.ORDER), credentials=keys["coinbase-exchange"])
    assert [each["product_ids"] for each in sent if each["channels"] == ["heartbeat"]] == [["ETH-USD"]]


def test_a_heartbeat_names_the_last_trade_of_what_was_asked_for(exchange_view: Any, channel: Any) -> None:
    exchange_view.ask(channel("trade"), channel("ticker", "ETH-USD"))
    for product, expected in (("BTC-USD", LastTrade("BTC-USD", "20")), ("ETH-USD", Alive())):
        frame = {"type": "heartbeat", "sequence": 90, "last_trade_id": 20, "product_id": product}
        assert list(exchange_view.parse(frame)) == [expected]


def test_advanced_asks_for_heartbeats_first_and_one_channel_a_message(advanced_view: Any, channel: Any) -> None:
    sent = advanced_view.ask(channel("trade"), channel("orderbook"), channel("quote"), channel("ticker"))
    assert sent == [
        {"type": "subscribe", "channel": "heartbeats"},
        {"type": "subscribe", "product_ids": ["BTC-USD"], "channel": "market_trades"},
        {"type": "subscribe", "product_ids": ["BTC-USD"], "channel": "level2"},
        {"type": "subscribe", "product_ids": ["BTC-USD"], "channel": "ticker"},
    ]


def state(exchange: str, **channels: list[str]) -> dict[str, Any]:
    if exchange == "coinbase":
        return {"channel": "subscriptions", "sequence_num": 0, "events": [{"subscriptions": channels}]}
    listed = [{"name": name, "product_ids": ids, "account_ids": None} for name, ids in channels.items()]
    return {"type": "subscriptions", "channels": listed}


def answers(view: Any, frame: dict[str, Any]) -> list[Any]:
    return [e for e in view.parse(frame) if isinstance(e, Accepted | Unsubscribed | Rejected | Unknown)]


def test_the_whole_list_confirms_what_it_holds_under_its_former_name_too(exchange_view: Any, channel: Any) -> None:
    book, trade, other = channel("orderbook"), channel("trade"), channel("trade", "ETH-USD")
    exchange_view.ask(book, trade, other)
    assert answers(exchange_view, state("coinbase-exchange", level2_50=["BTC-USD"])) == [Accepted(None, [book])]
    rest = state("coinbase-exchange", level2_50=["BTC-USD"], matches=["ETH-USD", "BTC-USD"])
    assert answers(exchange_view, rest) == [Accepted(None, [trade, other])]
    assert answers(exchange_view, rest) == []


@pytest.mark.parametrize("exchange", PAIRS)
def test_what_is_listed_no_more_was_given_up(make_view: Any, channel: Any, exchange: str) -> None:
    view = make_view(exchange)
    quote, ticker = channel("quote"), channel("ticker")
    view.ask(quote, ticker)
    answers(view, state(exchange, ticker=["BTC-USD"]))
    more = {"credentials": None, "at": 0} if exchange == "coinbase" else {}

    def give_up(one: Channel) -> list[Any]:
        return list(view.plugin.unsubscribe(view, [one], **more))

    assert give_up(quote) == []  # the other still needs it
    (request,) = give_up(ticker)
    assert json.loads(request.frame)["type"] == "unsubscribe"
    assert answers(view, state(exchange, ticker=["BTC-USD"])) == []  # the answer to something earlier
    assert answers(view, state(exchange, heartbeat=["BTC-USD"])) == [Unsubscribed(None, [ticker])]


def test_a_list_from_before_a_subscription_does_not_confirm_its_end(exchange_view: Any, channel: Any) -> None:
    first, second = channel("trade", "ETH-USD"), channel("trade")
    exchange_view.ask(first)
    exchange_view.ask(second)
    exchange_view.plugin.unsubscribe(exchange_view, [second])
    with_first, with_both = (state("coinbase-exchange", matches=ids) for ids in (["ETH-USD"], ["ETH-USD", "BTC-USD"]))
    assert answers(exchange_view, with_first) == [Accepted(None, [first])]
    assert answers(exchange_view, with_both) == [Accepted(None, [second])]
    assert answers(exchange_view, with_first) == [Unsubscribed(None, [second])]


KINDS = [
    ("TOKEN-USD is not a valid product", "symbol"),
    ("Failed to subscribe: AUTH-USD is not a valid product", "symbol"),
    ("CLOCK-USD is not a valid product", "symbol"),
    ("no market data of TOKEN-USD", "request"),
    ("AUTHOR-USD: no such channel", "request"),
    ("unauthenticated", "credentials"),
    ("UNAUTHORIZED", "credentials"),
    ("PERMISSION_DENIED", "credentials"),
    ("invalid api key", "credentials"),
    ("invalid jwt", "credentials"),
    ("your token has expired", "retry"),
    ("RATE_LIMIT_EXCEEDED", "rate"),
    ("INTERNAL", "retry"),
    ("request timeout", "retry"),
    ("product_ids are required", "symbol"),
    ("an internalised tokenised thing", "request"),
]


@pytest.mark.parametrize(("reason", "kind"), KINDS)
def test_words_are_read_whole_and_never_in_a_products_name(reason: str, kind: str) -> None:
    assert kind_of(reason) == kind


ERRORS = [
    ("Failed to subscribe", "FOO-USD is not a valid product", "symbol"),
    ("Authentication Failed", '{"message":"invalid signature"}', "credentials"),
    ("rate limit exceeded", "", "rate"),
    ("internal error", "", "retry"),
    ("Failed to subscribe", "level2, level3, and full channels now require authentication.", "request"),
]


@pytest.mark.parametrize(("message", "reason", "kind"), ERRORS)
def test_an_error_is_about_the_oldest_request(
    exchange_view: Any, channel: Any, message: str, reason: str, kind: str
) -> None:
    foo = channel("trade", "FOO-USD")
    exchange_view.ask(foo)
    error = {"type": "error", "message": message, "reason": reason}
    (rejected,) = answers(exchange_view, error)
    assert (rejected.kind, rejected.channels, rejected.id) == (kind, [foo], None)


def test_a_product_that_is_named_costs_the_others_a_second_request(exchange_view: Any, channel: Any) -> None:
    foo, btc = channel("trade", "FOO-USD"), channel("trade")
    exchange_view.ask(foo, btc)
    error = {"type": "error", "message": "Failed to subscribe", "reason": "FOO-USD is not a valid product"}
    bad, rest = answers(exchange_view, error)
    assert (bad.kind, bad.channels) == ("symbol", [foo])
    assert (rest.kind, rest.channels) == ("retry", [btc])
    # FOO-USD is not named by what only begins like it: the blame falls on the oldest request, the heartbeat.
    exchange_view.ask(channel("trade", "FOO-USDT"))
    assert [type(event) for event in answers(exchange_view, error)] == [Unknown]


def test_where_nobody_is_named_each_is_asked_for_alone(advanced_view: Any, channel: Any) -> None:
    both = [channel("trade"), channel("trade", "FOO-USD")]
    advanced_view.ask(*both)
    heart = answers(advanced_view, {"type": "error", "message": "no"})
    assert [type(event) for event in heart] == [Unknown]  # the heartbeats were asked for first
    (again,) = answers(advanced_view, {"type": "error", "message": "who knows"})
    assert (again.kind, again.channels) == ("retry", both)
    assert [each.get("product_ids") for each in advanced_view.ask(*both)] == [None, ["BTC-USD"], ["FOO-USD"]]


def test_a_shared_market_is_asked_for_once_and_handed_round(advanced_view: Any, channel: Any) -> None:
    for native, alias in (("BTC-USD", ""), ("BTC-USDC", "BTC-USD"), ("USDT-USDC", "")):
        base, quote = native.split("-")
        advanced_view.instruments.add(Instrument("coinbase", native, native, "spot", base, quote, alias=alias))
    sent = advanced_view.ask(*(channel("trade", native) for native in ("BTC-USDC", "USDT-USDC")))
    assert sent[1]["product_ids"] == ["BTC-USD", "USDT-USDC"]
    trade = {"trade_id": "1", "price": "1", "size": "1", "time": "2026-10-07T10:30:00Z", "side": "BUY"}
    frame = {"channel": "market_trades", "sequence_num": 1, "events": [{"trades": [trade | {"product_id": "BTC-USD"}]}]}
    assert [event.symbol for event in advanced_view.parse(frame)[1:]] == ["BTC-USDC"]
    advanced_view.ask(channel("trade", "BTC-USD"))
    assert [event.symbol for event in advanced_view.parse(frame)[1:]] == ["BTC-USDC", "BTC-USD"]
