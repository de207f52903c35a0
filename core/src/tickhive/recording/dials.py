"""The plugin's own Dial behind a recorded address, so that a replayed socket goes by the name it has live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from tickhive.channels import Channel, DataType
from tickhive.exchanges.asking import ways_to_ask
from tickhive.plugin.contract import Dial
from tickhive.plugin.stack import ExchangeStack


class OwnDials:
    """The Dials that ``connect`` answers for one symbol of each public data type; they are asked for when needed."""

    def __init__(self, stack: ExchangeStack, settings: Any, symbol: str = "BTC-USDT") -> None:
        self._stack = stack
        self._settings = settings
        self._symbol = symbol
        self._found: list[Dial] | None = None

    def all(self) -> Sequence[Dial]:
        """Every one of them, each key once."""
        if self._found is None:
            self._found = list({dial.key: dial for dial in self._ask()}.values())
        return self._found

    def of(self, url: str) -> Dial | None:
        """The first that leads to this address, or to the same path of another of the venue's hosts; else None."""
        for part in (_place, _path):
            for dial in self.all():
                if any(part(each) == part(url) for each in dial.urls):
                    return dial
        return None

    def _ask(self) -> list[Dial]:
        found: list[Dial] = []
        for data_type in (each for each in DataType if not each.private):
            for asked in ways_to_ask(data_type):
                channel = Channel(self._symbol, self._symbol, data_type, asked.params)
                try:
                    answer = self._stack.call.connect(
                        channels=(channel,), settings=self._settings, credentials=None, dials=()
                    )
                    found += [each for each in answer if isinstance(each, Dial)]
                except Exception:
                    continue  # it has no such data; whether it may say so like this is not asked here
        return found


def _place(url: str) -> str:
    return url.partition("?")[0].rstrip("/")


def _path(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.path.rstrip("/")
