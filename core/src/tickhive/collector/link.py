"""The life of one Dial: a socket open at all times, replaced without a hole, dialled again when it is lost."""

from __future__ import annotations

import asyncio
import itertools
import math
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

import attrs

from tickhive.budget import Backoff
from tickhive.clock import NANOSECONDS, Handle
from tickhive.collector.leg import Leg, LinkTools
from tickhive.collector.pace import Pace
from tickhive.collector.ticket import redeem
from tickhive.collector.totals import add_up, no_totals
from tickhive.collector.turn import Turn
from tickhive.errors import ConnectionFailed, ConnectionLost, CredentialsError, FetchError, PluginError
from tickhive.plugin.contract import Dial
from tickhive.session.session import Session
from tickhive.transport import Connection, open_connection

SETTLE_SECONDS = 10.0
"""How long a successor may take to carry everything when the venue has announced the end of the socket it replaces."""

WISH_SECONDS = 30.0
"""The same when it is only we who want another socket: then one that carries less than the other is given up."""

_numbers = itertools.count(1)


class LinkState(StrEnum):
    """Where a link is in its life. One that rolls over is ``open``: it receives all the while."""

    WAITING = "waiting"
    DIALLING = "dialling"
    OPEN = "open"
    CLOSING = "closing"
    FAILED = "failed"
    STOPPED = "stopped"


class Link:
    """Keeps one socket of a Dial open.

    ``leg`` is the socket that counts. When its session wants to leave it (the venue announced its end, it grows too
    old, a channel is silent on it), or ``roll_over`` or ``change`` ask for another one, a successor is dialled while it
    goes on receiving; once the successor carries everything it takes over and the other is closed. There is never more
    than one successor. When the socket is lost first, the successor, or the next one dialled, takes its place.

    Dials wait for the venue's budget, and after a failure for a backoff that sockets of ``STABLE_SECONDS`` clear. What
    was announced needs no backoff, except where it comes again and again. ``failed`` is final: dialling again cannot
    help. ``number`` tells the links of one dial apart; they share ``turn``.
    """

    def __init__(self, dial: Dial, tools: LinkTools, *, backoff: Backoff, turn: Turn, number: int = 1) -> None:
        self.dial = dial
        self.key = dial.key if number == 1 else f"{dial.key}/{number}"
        self.leg: Leg | None = None
        self.state = LinkState.WAITING
        self.state_since = tools.clock.time_ns()
        self.connects = 0
        self.failures = 0
        self.rollovers = 0
        self.last_error: str | None = None
        self._tools = tools
        self._pace = Pace(backoff, tools.budget, tools.clock)
        self._turn = turn
        # Numbered: the link of a dial that comes back may meet the one that is still closing.
        self._name = f"{tools.telemetry.name}: link {self.key} ({next(_numbers)})"
        self._address = number - 1
        self._legs: list[Leg] = []
        self._successor: Leg | None = None
        self._wish: str | None = None
        self._refusal: str | None = None
        self._fatal: str | None = None
        self._stopping = False
        self._dialling = False
        self.queued = False
        """Whether a socket is wanted and only waits for its turn at the venue's limit."""
        self._turn_came_at: float | None = None
        self._woken = asyncio.Event()
        self._patience: Handle | None = None
        self._paused = False
        self._totals = no_totals()
        self._bytes_before = 0
        turn.links.append(self)

    # Life

    def start(self) -> None:
        """Begin dialling."""
        self._tools.tasks.add_task(self._name, self._run(), on_error=self.broke)

    async def stop(self) -> None:
        """Close the sockets with a closing handshake and dial no more."""
        self._stopping = True
        self._dialling = False
        self._show()
        self._tools.tasks.remove_task(self._name)
        self._end_rollover()
        self._turn.leave(self)
        await asyncio.gather(*(leg.shut("stopped") for leg in tuple(self._legs)))
        self._set_state(LinkState.STOPPED)

    def pause_reading(self) -> None:
        """Stop taking in frames."""
        self._paused = True
        for leg in self._legs:
            if leg.connection is not None and leg.closing is None:
                leg.connection.pause_reading()

    def resume_reading(self) -> None:
        """Take in frames again."""
        self._paused = False
        for leg in self._legs:
            if leg.connection is not None:
                leg.connection.resume_reading()

    def wake(self) -> None:
        """Look again whether a socket is to be dialled."""
        self._woken.set()

    def act(self) -> None:
        """Let every session have what it asks for."""
        for leg in tuple(self._legs):
            leg.act()

    # What can be asked of it

    @property
    def rolling(self) -> str | None:
        """Why the open socket is to be replaced; None when it is not, or when none is open."""
        if self.leg is None or self.leg.session is None or self._stopping:
            return None
        stale = None if self.leg.dial is self.dial else "other channels or another address"
        return self.leg.session.leaving or self._wish or stale

    @property
    def url(self) -> str | None:
        """Where the open socket is; None when none is open."""
        return self.leg.url if self.leg is not None else None

    @property
    def hopeless(self) -> str | None:
        """Why the venue will not have us, however often it is dialled; None while a socket is open all the same."""
        return self._refusal if self.leg is None else None

    @property
    def failing(self) -> int:
        """How many dials in a row did not succeed."""
        return self._pace.failing

    @property
    def replaceable(self) -> bool:
        """Whether a socket is open and another may be dialled."""
        return self.leg is not None and self._fatal is None and not self._stopping

    def replaced(self, leg: Leg | None) -> bool:
        """Whether another socket has taken the place of this one (None: of none), and this one is closed."""
        return self.leg is not None and self.leg is not leg and leg not in self._legs

    def on_its_way(self, seconds: float) -> bool:
        """Whether another socket waits for its turn, or had it less than so long ago, and nothing has gone wrong."""
        if self.failing:
            return False
        if self.queued or self._turn.held_up(self):
            return True
        return self._turn_came_at is not None and self._now() - self._turn_came_at < seconds

    def roll_over(self, reason: str) -> None:
        """Replace the open socket without a hole. Where none is open a fresh one is on its way already."""
        if self.leg is not None and self._wish is None:
            self._wish = reason
            self._pace.at_once()
            self.wake()
            self._tools.on_change()

    def change(self, dial: Dial) -> None:
        """Go on with a dial of the same key: its channels are asked for and given up on the open socket where the venue
        knows how, else a socket with it takes over.
        """
        if dial == self.dial:
            return
        at = self._tools.clock.time_ns()
        wanted = frozenset(dial.channels)
        carrying = [leg for leg in (self.leg, self._successor) if leg is not None]
        self.dial = dial
        for leg in carrying:
            session = leg.session
            if session is None:
                continue
            if attrs.evolve(leg.dial, channels=dial.channels) == dial and session.stack.offers("subscribe"):
                leg.dial = dial
                carried = frozenset(session.channels)
                session.add([channel for channel in dial.channels if channel not in carried], at)
            session.remove([channel for channel in session.channels if channel not in wanted], at)
            leg.act()
        self._pace.at_once()
        self.wake()

    def give_up(self) -> None:
        """Carry nothing any more; to be followed by ``stop``."""
        for leg in self._legs:
            if leg.session is not None:
                leg.session.remove(leg.session.channels, self._tools.clock.time_ns())

    # Dialling

    async def _run(self) -> None:
        while await self._needed():
            rolling = self.leg is not None
            await self._queue()
            if not self._wants_socket():
                continue  # the venue has refused us for good meanwhile
            self._dialling = True
            self._show()
            try:
                dial = self.dial
                address = await redeem(dial, self._tools.fetch_all)
                url = self._turn.address(self, address.urls, self._address)
                leg = Leg(self, dial, url, self._tools)
                connection = await open_connection(
                    url,
                    on_frames=leg.frames,
                    headers=dict(address.headers),
                    max_size=dial.max_size,
                    proxy=self._tools.proxy,
                    mode=self._tools.transport,
                    on_pong=leg.ponged,
                )
            except CredentialsError as error:
                self._dialling = False
                self._refused(error)
                continue
            except (ConnectionFailed, FetchError, PluginError) as error:
                # One answer a plugin cannot read (a page about maintenance) may be followed by one it can.
                self._dialling = False
                self._failed(error)
                continue
            self._dialling = False
            try:
                self._opened(leg, connection)
            except Exception as error:
                if self.leg is None or not rolling:
                    raise
                # The socket that is open is worth more than the end of this task.
                self._successor = None
                self._failed(error)

    async def _queue(self) -> None:
        """Wait for a turn at the limit all who use the venue share."""
        self.queued = True
        try:
            await self._tools.budget.acquire("dial")
        finally:
            self.queued = False
        self._turn_came_at = self._now()

    async def _needed(self) -> bool:
        """Wait until a socket is wanted and may be dialled; False when none will ever be."""
        while not self._stopping and not (self._fatal is not None and self.leg is None):
            self._show()
            wait = self._pace.wait()
            wanted = self._wants_socket()
            if wanted and wait <= 0 and (self.leg is None or self._turn.take(self)):
                return True
            alarm = None
            if wanted and wait > 0:
                due = self._tools.clock.time_ns() + math.ceil(wait * NANOSECONDS)
                alarm = self._tools.clock.call_at(due, self.wake)
            try:
                await self._woken.wait()
            finally:
                if alarm is not None:
                    alarm.cancel()
            self._woken.clear()
        return False

    def _wants_socket(self) -> bool:
        if self._fatal is not None:
            return False
        return self.leg is None or (self._successor is None and self.rolling is not None)

    def _opened(self, leg: Leg, connection: Connection) -> None:
        """A socket is open: it counts at once where there is none, else when it carries everything."""
        if self.leg is None:
            self.leg = leg
        else:
            self._successor = leg
            leg.settling = True
            self._set_patience(SETTLE_SECONDS)
        if attrs.evolve(leg.dial, channels=self.dial.channels) == self.dial:
            leg.dial = self.dial  # its channels changed while it was dialled
        self._legs.append(leg)
        if self._paused:
            connection.pause_reading()
        self.connects += 1
        self._pace.failing = 0
        self.last_error = None
        self._tools.telemetry.log.info("connected", link=self.key, peer=connection.peer)
        self._show()
        try:
            leg.begin(connection)
        except Exception:
            self._legs.remove(leg)
            self.leg = None if self.leg is leg else self.leg
            raise
        if self.leg is leg:
            self._end_rollover()

    def _failed(self, error: Exception) -> None:
        """Note a dial that did not succeed; the next waits as long as the venue and the backoff ask."""
        self.failures += 1
        self._address += 1
        self.last_error = self._tools.telemetry.record_error(f"dial {self.dial.key}", error)
        wait = self._pace.failed(error)
        self._end_rollover()
        failing = self.failing
        if failing in (1, 3, 10) or failing % 100 == 0:
            self._tools.telemetry.log.warning(
                "cannot connect; trying again",
                link=self.key,
                error=self.last_error,
                failures=failing,
                wait_seconds=round(wait, 1),
            )

    def _refused(self, error: CredentialsError) -> None:
        """The venue gives no ticket to this account: that is final for dialling, not for the socket there is."""
        telemetry = self._tools.telemetry
        self._fatal = self._refusal = self.last_error = telemetry.record_error(f"dial {self.dial.key}", error.reason)
        telemetry.log.error("gave up: dialling again cannot help", link=self.key, reason=self._fatal)
        self._end_rollover()
        self._show()

    # Rolling over

    def leaving(self, leg: Leg) -> None:
        """The session of a leg wants a successor."""
        if leg is not self.leg:
            return
        session = leg.session
        if self._successor is not None and session is not None and session.announced:
            self._set_patience(SETTLE_SECONDS - (self._now() - self._successor.opened_at))
        elif self._successor is None:
            self._pace.planned(self._now() - leg.opened_at)
        self.wake()
        self._tools.on_change()

    def settled(self, leg: Leg) -> None:
        """The successor carries everything."""
        if leg is self._successor:
            self._take_over()

    def _impatient(self) -> None:
        """The successor still does not carry everything: better than a socket that ends, worse than one that lives."""
        successor, leg = self._successor, self.leg
        if successor is None or leg is None or leg.session is None:
            return
        if leg.session.announced:
            self._take_over()
        elif (left := WISH_SECONDS - (self._now() - successor.opened_at)) > 0:
            self._set_patience(left)
        else:
            self._successor = None
            successor.settling = False
            self._pace.unfulfilled()
            reason = f"did not carry all channels within {WISH_SECONDS:g} s; the other socket stays"
            self.last_error = self._tools.telemetry.record_error(f"link {self.key}", reason)
            self._tools.telemetry.log.warning("rollover failed", link=self.key, reason=reason)
            self._end_rollover()
            successor.retire(reason)

    def _take_over(self) -> None:
        """The successor counts from now on; the other socket is closed in order."""
        leg, reason = self.leg, self.rolling
        assert leg is not None
        self.leg, self._successor = self._successor, None
        self._wish = None
        self._pace.fulfilled()
        self.rollovers += 1
        self._tools.telemetry.log.info("rolled over", link=self.key, reason=reason)
        leg.retire(reason or "replaced")
        self._end_rollover()

    def _end_rollover(self) -> None:
        """Nothing is settling any more."""
        self._set_patience(None)
        self._turn.give_back(self)
        self.wake()
        self._tools.on_change()

    def _set_patience(self, seconds: float | None) -> None:
        if self._patience is not None:
            self._patience.cancel()
        clock = self._tools.clock
        due = None if seconds is None else clock.time_ns() + max(0, math.ceil(seconds * NANOSECONDS))
        self._patience = None if due is None else clock.call_at(due, self._impatient)

    # What becomes of legs

    def ended(self, leg: Leg, session: Session, reason: str, lost: ConnectionLost | None) -> None:
        """The session of a leg has ended."""
        add_up(self._totals, session.statistics)
        if self._stopping or leg not in (self.leg, self._successor):
            return
        telemetry = self._tools.telemetry
        if self._fatal is None:
            self.last_error = telemetry.record_error(f"link {self.key}", reason)
        if session.fatal is not None:
            self._fatal = self._refusal = session.fatal
            telemetry.log.error("gave up: dialling again cannot help", link=self.key, reason=reason)
        elif self._fatal is None:
            # What was planned was paced when it was planned.
            if session.leaving is None or leg is not self.leg:
                self._address += 1
                self._pace.lost(self._now() - leg.opened_at, lost, carried=leg.carried)
            telemetry.log.info("connection lost; dialling again", link=self.key, reason=reason)
        if leg is self.leg:
            self.leg, self._successor, self._wish = self._successor, None, None
            if self.leg is not None:
                self.leg.settling = False
        else:
            self._successor = None
        self._end_rollover()
        self._show()

    def gone(self, leg: Leg) -> None:
        """The socket of a leg is gone."""
        if leg in self._legs:
            self._legs.remove(leg)
            self._bytes_before += leg.connection.bytes_received if leg.connection is not None else 0
            self._tools.on_change()

    def broke(self, error: BaseException) -> None:
        """A defect ended the link's work: it stands failed, for all to see, instead of waiting for ever."""
        self.last_error = self._tools.telemetry.record_error(f"link {self.key}", error)
        self._fatal = self.last_error
        self._tools.telemetry.log.error("a defect ended this connection", link=self.key, error=self.last_error)
        self._end_rollover()
        for leg in tuple(self._legs):
            if leg.connection is not None:
                leg.connection.abort()
        self._show()

    # What can be said of it

    def _now(self) -> float:
        return self._tools.clock.monotonic()

    def _show(self) -> None:
        """Bring ``state`` up to date."""
        if self._stopping:
            state = LinkState.CLOSING
        elif self.leg is not None:
            state = LinkState.OPEN
        elif self._fatal is not None:
            state = LinkState.FAILED
        else:
            state = LinkState.DIALLING if self._dialling else LinkState.WAITING
        self._set_state(state)

    def _set_state(self, state: LinkState) -> None:
        if state is not self.state:
            self.state = state
            self.state_since = self._tools.clock.time_ns()
            self._tools.on_change()

    def unhealthy(self, patience_seconds: float) -> str | None:
        """Why this link is not well; None when it is, or has been troubled for less than ``patience_seconds``."""
        if self._fatal is not None:
            return f"connection {self.key} gave up: {self._fatal}"
        if self.state is LinkState.OPEN:
            return None
        if (self._tools.clock.time_ns() - self.state_since) / 1e9 < patience_seconds and not self.failing:
            return None
        state = "waits for its turn to dial" if self.queued else f"is {self.state.value}"
        return f"connection {self.key} {state}" + (f": {self.last_error}" if self.last_error else "")

    def statistics(self) -> dict[str, Any]:
        """What its sockets have seen, all together."""
        totals = self._totals.copy()
        for leg in self._legs:
            if leg.session is not None:
                add_up(totals, leg.session.statistics)
        return totals

    def status(self) -> dict[str, Any]:
        """The link's state and statistics, JSON-ready."""
        statistics = self.statistics()
        carried = self._bytes_before + sum(leg.connection.bytes_received for leg in self._legs if leg.connection)
        return {
            "key": self.key,
            "state": self.state.value,
            "since": self.state_since,
            "rolling": self.rolling,
            "host": _host(self.url or self.dial.urls[0]),
            "channels": len(self.dial.channels),
            "connects": self.connects,
            "failures": self.failures,
            "rollovers": self.rollovers,
            "frames": statistics["frames"],
            "bytes": carried,
            "last_received": statistics["last_received"],
            "last_error": self.last_error,
        }


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
