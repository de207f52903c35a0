"""What ``tickhive run`` collects when nobody says what: nothing the exchange does not have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tickhive.channels import DataType
from tickhive.cli.run_command import usual_types
from tickhive.exchanges.factory import ExchangeFactory
from tickhive.plugin import Dial, hookimpl


class Sparrow:
    """Streams what it is made with."""

    def __init__(self, *offered: DataType) -> None:
        self.offered = offered

    @hookimpl
    def connect(self, channels: Any) -> Any:
        for channel in channels:
            if channel.data_type not in self.offered:
                raise ValueError(f"{channel}: there is no such stream")
        return [Dial("one", ["wss://sparrow.test"], channels)]

    @hookimpl
    def parse(self) -> Any:
        return ()


@pytest.fixture(autouse=True)
def _registered(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    ExchangeFactory.unregister("sparrow")


@pytest.mark.parametrize(
    ("offered", "usual"),
    [
        ((DataType.TRADE, DataType.ORDERBOOK), ["trade", "orderbook"]),
        ((DataType.TICKER, DataType.QUOTE), ["ticker"]),
        ((DataType.CANDLE,), ["trade", "orderbook", "ticker"]),  # whoever starts it says what there is
    ],
)
def test_only_what_the_exchange_has(offered: tuple[DataType, ...], usual: list[str]) -> None:
    ExchangeFactory.register("sparrow", Sparrow(*offered))
    assert usual_types("sparrow") == usual


def test_an_unknown_exchange_is_judged_elsewhere() -> None:
    assert usual_types("no-such-exchange") == ["trade", "orderbook", "ticker"]
