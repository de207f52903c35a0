"""What ``[exchanges.okx]`` may say, and the addresses that follow from it."""

from __future__ import annotations

from typing import Literal

from attrs import define

from tickhive.plugin import ExchangeSettings, bounded

SOCKETS = {
    ("global", False): "wss://ws.okx.com",
    ("global", True): "wss://wspap.okx.com",
    ("us", False): "wss://wsus.okx.com",
    ("us", True): "wss://wsuspap.okx.com",
    ("eea", False): "wss://wseea.okx.com",
    ("eea", True): "wss://wseeapap.okx.com",
}
REST = {"global": "https://openapi.okx.com", "us": "https://us.okx.com", "eea": "https://eea.okx.com"}
RETIRED_HOSTS = ("www.okx.com", "aws.okx.com", "wsaws.okx.com", "www.okex.com", "ws.okex.com", "wspap.okex.com")

INSTRUMENT_TYPES = ("SPOT", "SWAP", "FUTURES", "OPTION")


@define(kw_only=True)
class OKXSettings(ExchangeSettings):
    """The settings of OKX.

    ``region`` is the site the account or the user belongs to, ``demo`` its paper trading. ``url`` and ``rest_url``
    replace the addresses chosen by these two. ``instrument_types`` are the lists read at the start; options are listed
    per family of ``option_families``.

    One socket carries at most ``channels_per_connection`` channels, of which at most ``books_per_connection`` order
    books: OKX recommends fewer than 30. ``snapshot_patience_seconds`` is how long a book may wait for its streamed
    snapshot before it is fetched. A gap in the trades is refilled back to ``backfill_trades`` trades before its end.
    Whenever an account's fills are subscribed, its last ``recent_fills`` are asked for. ``book_source`` is the
    parameter ``source`` of fetched books, which OKX announced in 2026 with the value 0; without one it is not sent.
    """

    region: Literal["global", "us", "eea"] = "global"
    demo: bool = False
    instrument_types: tuple[str, ...] = INSTRUMENT_TYPES
    option_families: tuple[str, ...] = ("BTC-USD", "ETH-USD")
    channels_per_connection: int = bounded(300, 1, 1_000)
    books_per_connection: int = bounded(29, 1, 100)
    snapshot_patience_seconds: float = bounded(10.0, 0.1, 3_600)
    backfill_trades: int = bounded(20_000, 0, 1_000_000)
    recent_fills: int = bounded(500, 0, 10_000)
    book_source: str = ""

    def __attrs_post_init__(self) -> None:
        """Refuse what OKX does not have, naming the field."""
        super().__attrs_post_init__()
        if self.region not in REST:
            raise ValueError(f"region: expected one of {', '.join(REST)}, got {self.region!r}")
        if self.book_source and not (self.book_source.isascii() and self.book_source.isalnum()):
            raise ValueError(f"book_source: expected a word or a number such as '0', got {self.book_source!r}")
        for name in self.instrument_types:
            if name not in INSTRUMENT_TYPES:
                raise ValueError(f"instrument_types: expected some of {', '.join(INSTRUMENT_TYPES)}, got {name!r}")
        for family in self.option_families:
            if family.count("-") != 1 or not family.isascii() or not all(family.split("-")):
                raise ValueError(f"option_families: expected names like 'BTC-USD', got {family!r}")

    def socket(self, path: str) -> str:
        """The WebSocket address of ``public``, ``business`` or ``private``."""
        base = self.url or SOCKETS[self.region, self.demo]
        return f"{base.rstrip('/')}/ws/v5/{path}"

    def rest(self, path: str) -> str:
        """The address of a REST path (``market/books?...``)."""
        base = self.rest_url or REST[self.region]
        return f"{base.rstrip('/')}/api/v5/{path}"

    @property
    def rest_headers(self) -> dict[str, str]:
        """What every REST request must carry."""
        return {"x-simulated-trading": "1"} if self.demo else {}
