"""The life of one Dial: a socket open at all times, replaced without a hole, dialled again when it is lost."""

from __future__ import annotations

import itertools
import math
from typing import Any
from urllib.parse import urlsplit

import attrs

from tickhive.budget import Backoff
from tickhive.clock import NANOSECONDS, Handle
from tickhive.collector.bell import Bell
from tickhive.collector.dialler import Dialler
from tickhive.collector.journal import LinkJournal, LinkState
from tickhive.collector.leg import Leg, LinkTools
from tickhive.collector.legs import Legs
from tickhive.collector.pace import Pace
from tickhive.collector.turn import Turn
from tickhive.errors import ConnectionFailed, ConnectionLost, CredentialsError, FetchError, PluginError
from tickhive.plugin.contract import Dial
from tickhive.session.session import Session
from tickhive.transport import Connection

SETTLE_SECONDS = 10.0
"""How long a successor may take to carry everything when the venue has announced the end of the socket it replaces."""

WISH_SECONDS = 30.0
"""The same when it is only we who want another socket: then one that carries less than the other is given up."""

_numbers = itertools.count(1)


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
        self.journal = LinkJournal(tools.clock, tools.on_change)
        self.legs = Legs()
        self._tools = tools
        self._now = tools.clock.monotonic
        self._pace = Pace(backoff, tools.budget, tools.clock)
        self._turn = turn
        self._dialler = Dialler(self, turn, tools, number)
        # Numbered: the link of a dial that comes back may meet the one that is still closing.
        self._name = f"{tools.telemetry.name}: link {self.key} ({next(_numbers)})"
        self._wish: str | None = None
        self._refusal: str | None = None
        self._stopping = False
        self._woken = Bell(tools.clock)
        self._patience: Handle | None = None
        turn.links.append(self)

    # Life

    def start(self) -> None:
        """Begin dialling."""
        self._tools.tasks.add_task(self._name, self._run(), on_error=self.broke)

    async def stop(self) -> None:
        """Close the sockets with a closing handshake and dial no more."""
        self._stopping = True
        self._show()
        self._tools.tasks.remove_task(self._name)
        self._end_rollover()
        self._turn.leave(self)
        await self.legs.shut("stopped")
        self.journal.enter(LinkState.STOPPED)

    def wake(self) -> None:
        """Look again whether a socket is to be dialled."""
        self._woken.ring()

    # What can be asked of it

    @property
    def leg(self) -> Leg | None:
        """The socket that counts; None while none is open."""
        return self.legs.current

    @property
    def state(self) -> LinkState:
        """Where it is in its life."""
        return self.journal.state

    @property
    def queued(self) -> bool:
        """Whether a socket is wanted and only waits for its turn at the venue's limit."""
        return self._dialler.queued

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
        return self.leg is not None and self.journal.fatal is None and not self._stopping

    def replaced(self, leg: Leg | None) -> bool:
        """Whether another socket has taken the place of this one (None: of none), and this one is closed."""
        return self.leg is not None and self.leg is not leg and leg not in tuple(self.legs)

    def on_its_way(self, seconds: float) -> bool:
        """Whether another socket waits for its turn, or had it less than so long ago, and nothing has gone wrong."""
        if self.failing:
            return False
        return self.queued or self._turn.held_up(self) or self._dialler.had_turn_within(seconds)

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
        self.dial = dial
        self.legs.change(dial, self._tools.clock.time_ns())
        self._pace.at_once()
        self.wake()

    def give_up(self) -> None:
        """Carry nothing any more; to be followed by ``stop``."""
        self.legs.carry_nothing(self._tools.clock.time_ns())

    # Dialling

    async def _run(self) -> None:
        while await self._needed():
            rolling = self.leg is not None
            await self._dialler.queue()
            if not self._wants_socket():
                continue  # the venue has refused us for good meanwhile
            try:
                leg, connection = await self._dial()
            except CredentialsError as error:
                self._refused(error)
                continue
            except (ConnectionFailed, FetchError, PluginError) as error:
                # One answer a plugin cannot read (a page about maintenance) may be followed by one it can.
                self._failed(error)
                continue
            try:
                self._opened(leg, connection)
            except Exception as error:
                if self.leg is None or not rolling:
                    raise
                # The socket that is open is worth more than the end of this task.
                self._failed(error)

    async def _dial(self) -> tuple[Leg, Connection]:
        self._dialler.dialling = True
        self._show()
        try:
            return await self._dialler.open(self, self.dial)
        finally:
            self._dialler.dialling = False

    async def _needed(self) -> bool:
        """Wait until a socket is wanted and may be dialled; False when none will ever be."""
        while not self._stopping and not (self.journal.fatal is not None and self.leg is None):
            self._show()
            wait = self._pace.wait()
            wanted = self._wants_socket()
            if wanted and wait <= 0 and (self.leg is None or self._turn.take(self)):
                return True
            await self._woken.wait(wait if wanted and wait > 0 else None)
        return False

    def _wants_socket(self) -> bool:
        if self.journal.fatal is not None:
            return False
        return self.leg is None or (self.legs.successor is None and self.rolling is not None)

    def _opened(self, leg: Leg, connection: Connection) -> None:
        """A socket is open: it counts at once where there is none, else when it carries everything."""
        if attrs.evolve(leg.dial, channels=self.dial.channels) == self.dial:
            leg.dial = self.dial  # its channels changed while it was dialled
        self.legs.take_in(leg, connection)
        if leg is self.legs.successor:
            self._set_patience(SETTLE_SECONDS)
        self.journal.connects += 1
        self.journal.last_error = None
        self._pace.failing = 0
        self._tools.telemetry.log.info("connected", link=self.key, peer=connection.peer)
        self._show()
        try:
            leg.begin(connection)
        except Exception:
            self.legs.lost(leg)
            self.legs.forget(leg)
            raise
        if self.leg is leg:
            self._end_rollover()

    def _failed(self, error: Exception) -> None:
        """Note a dial that did not succeed; the next waits as long as the venue and the backoff ask."""
        self.journal.failures += 1
        self._dialler.try_elsewhere()
        said = self.journal.last_error = self._tools.telemetry.record_error(f"dial {self.dial.key}", error)
        wait = self._pace.failed(error)
        self._end_rollover()
        failing = self.failing
        if failing in (1, 3, 10) or failing % 100 == 0:
            self._tools.telemetry.log.warning(
                "cannot connect; trying again",
                link=self.key,
                error=said,
                failures=failing,
                wait_seconds=round(wait, 1),
            )

    def _refused(self, error: CredentialsError) -> None:
        """The venue gives no ticket to this account: that is final for dialling, not for the socket there is."""
        telemetry = self._tools.telemetry
        said = self.journal.last_error = telemetry.record_error(f"dial {self.dial.key}", error.reason)
        self.journal.fatal = self._refusal = said
        telemetry.log.error("gave up: dialling again cannot help", link=self.key, reason=said)
        self._end_rollover()
        self._show()

    # Rolling over

    def leaving(self, leg: Leg) -> None:
        """The session of a leg wants a successor."""
        if leg is not self.leg:
            return
        session = leg.session
        successor = self.legs.successor
        if successor is not None and session is not None and session.announced:
            self._set_patience(SETTLE_SECONDS - (self._now() - successor.opened_at))
        elif successor is None:
            self._pace.planned(self._now() - leg.opened_at)
        self.wake()
        self._tools.on_change()

    def settled(self, leg: Leg) -> None:
        """The successor carries everything."""
        if leg is self.legs.successor:
            self._take_over()

    def _impatient(self) -> None:
        """The successor still does not carry everything: better than a socket that ends, worse than one that lives."""
        successor, leg = self.legs.successor, self.leg
        if successor is None or leg is None or leg.session is None:
            return
        if leg.session.announced:
            self._take_over()
        elif (left := WISH_SECONDS - (self._now() - successor.opened_at)) > 0:
            self._set_patience(left)
        else:
            self.legs.dismiss()
            self._pace.unfulfilled()
            reason = f"did not carry all channels within {WISH_SECONDS:g} s; the other socket stays"
            self.journal.last_error = self._tools.telemetry.record_error(f"link {self.key}", reason)
            self._tools.telemetry.log.warning("rollover failed", link=self.key, reason=reason)
            self._end_rollover()
            successor.retire(reason)

    def _take_over(self) -> None:
        """The successor counts from now on; the other socket is closed in order."""
        reason, leg = self.rolling, self.legs.take_over()
        self._wish = None
        self._pace.fulfilled()
        self.journal.rollovers += 1
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
        self.journal.ended(session.statistics)
        if self._stopping or leg not in (self.legs.current, self.legs.successor):
            return
        telemetry = self._tools.telemetry
        if self.journal.fatal is None:
            self.journal.last_error = telemetry.record_error(f"link {self.key}", reason)
        if session.fatal is not None:
            self.journal.fatal = self._refusal = session.fatal
            telemetry.log.error("gave up: dialling again cannot help", link=self.key, reason=reason)
        elif self.journal.fatal is None:
            # What was planned was paced when it was planned.
            if session.leaving is None or leg is not self.leg:
                self._dialler.try_elsewhere()
                self._pace.lost(self._now() - leg.opened_at, lost, carried=leg.carried)
            telemetry.log.info("connection lost; dialling again", link=self.key, reason=reason)
        if leg is self.leg:
            self._wish = None
        self.legs.lost(leg)
        self._end_rollover()
        self._show()

    def gone(self, leg: Leg) -> None:
        """The socket of a leg is gone."""
        if self.legs.forget(leg):
            self.journal.gone(leg)
            self._tools.on_change()

    def broke(self, error: BaseException) -> None:
        """A defect ended the link's work: it stands failed, for all to see, instead of waiting for ever."""
        self.journal.fatal = self.journal.last_error = self._tools.telemetry.record_error(f"link {self.key}", error)
        self._tools.telemetry.log.error("a defect ended this connection", link=self.key, error=self.journal.fatal)
        self._end_rollover()
        self.legs.abort()
        self._show()

    # What can be said of it

    def _show(self) -> None:
        """Bring ``state`` up to date."""
        if self._stopping:
            state = LinkState.CLOSING
        elif self.leg is not None:
            state = LinkState.OPEN
        elif self.journal.fatal is not None:
            state = LinkState.FAILED
        else:
            state = LinkState.DIALLING if self._dialler.dialling else LinkState.WAITING
        self.journal.enter(state)

    def unhealthy(self, patience_seconds: float) -> str | None:
        """Why this link is not well; None when it is, or has been troubled for less than ``patience_seconds``."""
        why = self.journal.unhealthy(patience_seconds, queued=self.queued, failing=bool(self.failing))
        return None if why is None else f"connection {self.key} {why}"

    def statistics(self) -> dict[str, Any]:
        """What its sockets have seen, all together."""
        return self.journal.statistics(self.legs)

    def status(self) -> dict[str, Any]:
        """The link's state and statistics, JSON-ready."""
        return {
            "key": self.key,
            "state": self.state.value,
            "since": self.journal.since,
            "rolling": self.rolling,
            "host": _host(self.url or self.dial.urls[0]),
            "channels": len(self.dial.channels),
            **self.journal.counts(self.legs),
        }


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
