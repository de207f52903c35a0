"""How a link comes by a socket: in its turn at the venue's limit, with a fresh ticket, where no companion is."""

from __future__ import annotations

from tickhive.collector.leg import Leg, LegKeeper, LinkTools
from tickhive.collector.ticket import redeem
from tickhive.collector.turn import Turn, TurnTaker
from tickhive.plugin.contract import Dial
from tickhive.transport import Connection, open_connection


class Dialler:
    """Opens the sockets of one link, one at a time; ``number`` says which of the dial's addresses comes first."""

    def __init__(self, link: TurnTaker, turn: Turn, tools: LinkTools, number: int) -> None:
        self.queued = False
        """Whether a socket is wanted and only waits for its turn at the limit all who use the venue share."""
        self.dialling = False
        """Whether one is being opened."""
        self._link = link
        self._turn = turn
        self._tools = tools
        self._address = number - 1
        self._turn_came_at: float | None = None

    async def queue(self) -> None:
        """Wait for a turn at the limit."""
        self.queued = True
        try:
            await self._tools.budget.acquire("dial")
        finally:
            self.queued = False
        self._turn_came_at = self._tools.clock.monotonic()

    def had_turn_within(self, seconds: float) -> bool:
        """Whether its turn at the limit came less than so long ago."""
        return self._turn_came_at is not None and self._tools.clock.monotonic() - self._turn_came_at < seconds

    def try_elsewhere(self) -> None:
        """Let the next address be another one, where there are several."""
        self._address += 1

    async def open(self, keeper: LegKeeper, dial: Dial) -> tuple[Leg, Connection]:
        """Open a socket; its leg is still to be begun.

        CredentialsError when the venue gives no ticket to this account; ConnectionFailed, FetchError or PluginError
        when it did not succeed, and may the next time.
        """
        tools = self._tools
        address = await redeem(dial, tools.fetch_all)
        url = self._turn.address(self._link, address.urls, self._address)
        leg = Leg(keeper, dial, url, tools)
        connection = await open_connection(
            url,
            on_frames=leg.frames,
            headers=dict(address.headers),
            max_size=dial.max_size,
            proxy=tools.proxy,
            mode=tools.transport,
            on_pong=leg.ponged,
        )
        return leg, connection
