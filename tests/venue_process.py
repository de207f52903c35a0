"""A simulated exchange in a process of its own, whose clock the test moves: what it remembers is not the collector's.

``VenueProcess`` starts this file and gives it orders, one JSON object per line, each answered by one line.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any

from tickhive.clock import ManualClock
from tickhive.plugin import VenueOptions
from tickhive.plugin.registry import default_registry
from tickhive.simulation import VenueServer

ANSWER_SECONDS = 60


class VenueProcess:
    """The venue of an exchange behind real sockets, elsewhere on this machine."""

    def __init__(self, exchange: str, symbols: Sequence[str], seed: int = 3) -> None:
        self._arguments = [exchange, str(seed), *symbols]
        self._process: asyncio.subprocess.Process | None = None
        self.url = self.rest_url = ""

    async def __aenter__(self) -> VenueProcess:
        pipe = asyncio.subprocess.PIPE
        command = [sys.executable, __file__, *self._arguments]
        self._process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        self.url, self.rest_url = await self._answer()
        return self

    async def __aexit__(self, *exception: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        await asyncio.wait_for(self._process.wait(), ANSWER_SECONDS)

    async def advance(self, seconds: float) -> list[int]:
        """Let its time pass; answers the connections there are then."""
        return list(await self._ask("advance", seconds))

    async def end(self, how: str, connection: int) -> None:
        """End a connection: ``cut`` it, or give ``notice`` that it will end."""
        await self._ask(how, connection)

    async def pause(self, paused: bool) -> None:
        """Nobody trades, or everybody does again."""
        await self._ask("pause", paused)

    async def violations(self) -> list[str]:
        """Which of the venue's rules were broken."""
        return list(await self._ask("violations", None))

    async def _ask(self, order: str, argument: Any) -> Any:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([order, argument]).encode() + b"\n")
        return await self._answer()

    async def _answer(self) -> Any:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), ANSWER_SECONDS)
        assert line, "the venue's process has ended; its error is above"
        return json.loads(line)


async def serve(exchange: str, seed: int, symbols: Sequence[str]) -> None:
    """Be the venue until nobody gives orders any more."""
    venue: Any = default_registry().load(exchange).call.venue(options=VenueOptions(seed=seed, symbols=symbols))
    clock = ManualClock()
    async with VenueServer(venue, clock) as server:
        said: Any = [server.url, server.rest_url]
        while True:
            print(json.dumps(said), flush=True)
            line = await asyncio.to_thread(sys.stdin.readline)
            if not line:
                return
            order, argument = json.loads(line)
            said = None
            if order == "advance":
                await clock.advance(argument)
                said = list(server.connections)
            elif order == "cut":
                server.cut(argument)
            elif order == "notice":
                venue.notice(argument)
            elif order == "pause":
                server.pause(argument)
            elif order == "violations":
                said = list(venue.violations)
            await clock.advance(0)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
