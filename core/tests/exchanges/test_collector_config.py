"""A collector's configuration is right as a whole, or not built."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickhive.channels import DataType, Subscription
from tickhive.errors import ConfigurationError
from tickhive.exchanges import ExchangeCollectorConfig
from tickhive.structuring import structure

RIGHT: dict[str, Any] = {"exchange": "acme", "symbol": "BTC-USDT", "data_types": ["trade"]}


def test_the_first_example() -> None:
    config = ExchangeCollectorConfig(
        exchange="acme", symbol="BTC-USDT", data_types=[DataType.TRADE, DataType.ORDERBOOK], auto_restart=True
    )
    assert config.symbols == ("BTC-USDT",)
    assert config.subscriptions == (Subscription(DataType.TRADE), Subscription(DataType.ORDERBOOK))
    assert (config.name, config.default_name) == (None, "acme:BTC-USDT")
    assert (config.verify_checksums, config.silence_seconds, config.transport) == (True, 60.0, "fast")


def test_symbol_and_symbols_are_added_up_once_each_in_order() -> None:
    config = ExchangeCollectorConfig(
        exchange="acme", symbol="B", symbols=["C", "B", "A", "C"], data_types=["candle:1m", "trade", "candle:1m"]
    )
    assert config.symbols == ("B", "C", "A")
    assert [str(each) for each in config.subscriptions] == ["candle:1m", "trade"]
    assert config.default_name == "acme:B+2"
    assert attrs.evolve(config, name="x").symbols == config.symbols


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"exchange": ""}, "exchange: "),
        ({"exchange": 5}, "exchange: "),
        ({"symbol": None}, "symbols: expected at least one symbol"),
        ({"symbol": ""}, "symbol: "),
        ({"symbol": "BTC USDT"}, "symbol: "),
        ({"symbols": "BTC-USDT"}, "symbols: expected a list of symbols; a single one is given as symbol"),
        ({"symbols": ["A", 5]}, "symbols[1]: "),
        ({"symbols": ["A\x00"]}, "symbols[0]: "),
        ({"data_types": []}, "data_types: expected at least one data type"),
        ({"data_types": "trade"}, "data_types: expected a list"),
        ({"data_types": ["trade", "trad"]}, "data_types[1]: unknown data type 'trad'; did you mean 'trade'?"),
        ({"data_types": [None]}, "data_types[0]: "),
        ({"auto_restart": "yes"}, "auto_restart: "),
        ({"verify_checksums": 1}, "verify_checksums: "),
        ({"name": " "}, "name: "),
        ({"settings": []}, "settings: "),
        ({"settings": {1: 2}}, "settings: "),
        ({"silence_seconds": 0}, "silence_seconds: "),
        ({"silence_seconds": float("inf")}, "silence_seconds: "),
        ({"silence_seconds": "60"}, "silence_seconds: "),
        ({"silence_seconds": True}, "silence_seconds: "),
        ({"hook_deadline_seconds": 0}, "hook_deadline_seconds: "),
        ({"transport": "quick"}, "transport: "),
        ({"proxy": "localhost:1080"}, "proxy: "),
    ],
)
def test_one_fault(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ExchangeCollectorConfig(**{**RIGHT, **change})
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(field)
    assert isinstance(caught.value, ValueError)


def test_all_faults_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        ExchangeCollectorConfig(exchange="", symbols=[""], data_types=["x", "trade:1", "y"], transport="z")  # type: ignore[arg-type]
    fields = [problem.partition(":")[0] for problem in caught.value.problems]
    assert fields == ["exchange", "symbols[0]", "data_types[0]", "data_types[2]", "transport"]


def test_secrets_are_not_shown() -> None:
    config = ExchangeCollectorConfig(**RIGHT, proxy="http://me:s3cret@host", settings={"key": "s3cret"})
    assert "s3cret" not in repr(config)
    with pytest.raises(ConfigurationError) as caught:
        ExchangeCollectorConfig(**RIGHT, proxy="ftp://me:s3cret@host")
    assert "s3cret" not in str(caught.value)


def test_it_stays_as_it_was_checked() -> None:
    settings = {"url": "ws://a"}
    config = ExchangeCollectorConfig(**RIGHT, settings=settings)
    settings["url"] = "ws://b"
    assert config.settings == {"url": "ws://a"}
    with pytest.raises(attrs.exceptions.FrozenAttributeError):
        config.exchange = "globex"


def test_it_reads_from_a_table_with_paths() -> None:
    table = {"exchange": "acme", "symbols": ["A"], "data_types": ["trade"], "auto_restart": False}
    assert structure(ExchangeCollectorConfig, table).auto_restart is False
    with pytest.raises(ConfigurationError) as caught:
        structure(list[ExchangeCollectorConfig], [table, {**table, "symbols": ["A", " "], "transport": "fast"}], "all")
    assert [problem.partition(": ")[0] for problem in caught.value.problems] == ["all[1].symbols[1]"]


@given(st.lists(st.sampled_from("ABCDE"), max_size=8), st.none() | st.sampled_from("ABCDE"))
def test_symbols_are_a_set_in_the_order_given(symbols: list[str], symbol: str | None) -> None:
    given_symbols = ([symbol] if symbol else []) + symbols
    if not given_symbols:
        return
    config = ExchangeCollectorConfig(exchange="acme", symbol=symbol, symbols=symbols, data_types=["trade"])
    assert list(config.symbols) == sorted(set(given_symbols), key=given_symbols.index)
