"""What a plugin's hooks are shown when a REST answer is read that belongs to no socket."""

from __future__ import annotations

import itertools
from typing import Any

from tickhive.channels import InstrumentTable
from tickhive.plugin.contract import Dial


class OutsideView:
    """A ``SessionView`` without a socket: ``dial`` is None and ``memory`` is the caller's, kept from page to page."""

    def __init__(
        self, exchange: str, settings: Any, instruments: InstrumentTable, memory: Any = None, account: str = ""
    ) -> None:
        self.exchange: str = exchange
        self.dial: Dial | None = None
        self.settings: Any = settings
        self.account: str = account
        self.memory: Any = memory
        self.instruments: InstrumentTable = instruments
        self._ids = itertools.count(1)

    def next_id(self) -> str:
        """A request id that was not used here."""
        return str(next(self._ids))
