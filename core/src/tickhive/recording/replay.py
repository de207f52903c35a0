"""Plays recordings through the same session that runs live: the same events, in the same order, every time.

Whose recording it is follows from the hosts of its addresses: each plugin's ``hosts`` hook names those it reads. What
came in over a socket goes to a session of that socket, what was answered over HTTP to the plugin's ``read``. What the
session would send or fetch is not sent: the recording holds what came of it. Time is the recording's, and a deadline
comes when the recording says that it came; without such lines none does.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
from attrs import Factory, define, field

from tickhive.channels import Channel, DataType, InstrumentTable
from tickhive.digest import EventDigest
from tickhive.errors import RecordingError
from tickhive.events import Gap, InstrumentUpdate, MarketEvent
from tickhive.plugin.contract import Answer, Dial, Fetch
from tickhive.plugin.registry import PluginRegistry, default_registry
from tickhive.plugin.stack import ExchangeStack
from tickhive.recording.dials import OwnDials
from tickhive.recording.owners import host_of, owners_of
from tickhive.recording.reader import Line
from tickhive.recording.timeline import Moment, in_time, read_together, survey
from tickhive.session.feed import Feed
from tickhive.session.session import Session

OnEvents = Callable[[list[MarketEvent]], None]


@define
class ReplayResult:
    """What came of a replay. ``digest`` is SHA-256 over every field of every event, in order.

    ``events`` counts by class of event (``trade``, ``book_delta``, ...), ``symbols`` the same per exchange and symbol.
    ``frames`` were received over sockets, ``http`` answers read (``http_errors`` were not: the venue refused), ``sent``
    frames skipped, ``skipped`` lines belong to hosts no plugin knows. ``first`` and ``last`` are ns UTC. ``notes`` are
    sentences a user should see.
    """

    exchanges: list[str] = Factory(list)
    events: Counter[str] = Factory(Counter)
    symbols: dict[str, dict[str, Counter[str]]] = Factory(dict)
    frames: int = 0
    http: int = 0
    http_errors: int = 0
    sent: int = 0
    skipped: int = 0
    malformed: int = 0
    unknown: int = 0
    rejected: int = 0
    checksums_verified: int = 0
    checksums_failed: int = 0
    gaps: int = 0
    instruments: int = 0
    first: int | None = None
    last: int | None = None
    digest: str = ""
    notes: list[str] = Factory(list)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, with names in a fixed order: what ``tickhive replay --json`` prints."""
        return {
            "exchanges": self.exchanges,
            "events": {name: self.events[name] for name in sorted(self.events)},
            "symbols": {
                exchange: {symbol: dict(sorted(counts.items())) for symbol, counts in sorted(symbols.items())}
                for exchange, symbols in sorted(self.symbols.items())
            },
            "frames": self.frames,
            "http": self.http,
            "http_errors": self.http_errors,
            "sent": self.sent,
            "skipped": self.skipped,
            "malformed": self.malformed,
            "unknown": self.unknown,
            "rejected": self.rejected,
            "checksums": {"verified": self.checksums_verified, "failed": self.checksums_failed},
            "gaps": self.gaps,
            "instruments": self.instruments,
            "first": self.first,
            "last": self.last,
            "digest": self.digest,
            "notes": self.notes,
        }


class Replay:
    """Plays one or more recordings once; ``run`` answers what came of it.

    ``exchange`` says whose recording it is where the hosts do not. ``speed`` is relative to the recording (1.0: as it
    was, None: as fast as possible); waiting is done by ``sleep``. ``on_events`` gets every list of events. Symbols
    need no configuration: everything that was received is handed out.
    """

    def __init__(
        self,
        paths: Iterable[Path | str],
        registry: PluginRegistry | None = None,
        *,
        exchange: str | None = None,
        speed: float | None = None,
        on_events: OnEvents | None = None,
        verify_checksums: bool = True,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._paths = [Path(path) for path in paths]
        if not self._paths:
            raise RecordingError("there is no recording to replay: name at least one file")
        if speed is not None and speed <= 0:
            raise ValueError(f"speed: expected a number above 0, got {speed:g}")
        self._registry = registry or default_registry()
        self._exchange = exchange
        self._speed = speed
        self._on_events = on_events
        self._verify_checksums = verify_checksums
        self._sleep = sleep

    def run(self) -> ReplayResult:
        """Play it all. Raises RecordingError for damage and when no installed plugin knows whose recording it is."""
        result = ReplayResult()
        surveyed = survey(self._paths, result.notes.append)
        owners = owners_of(self._paths, surveyed, self._registry, self._exchange, result.notes.append)
        tracks: dict[str, _Track] = {}
        digest = EventDigest()
        last: int | None = None
        for moment in read_together(in_time(self._paths, surveyed)):
            if self._speed is not None and last is not None and moment.at > last:
                self._sleep((moment.at - last) / 1e9 / self._speed)
            last = moment.at
            result.first = moment.at if result.first is None else result.first
            result.last = moment.at
            stack = owners.get(host_of(moment.line.url))
            if stack is None:
                result.skipped += len(moment.frames)
                continue
            track = tracks.get(stack.exchange)
            if track is None:
                track = tracks[stack.exchange] = _Track.of(stack, verify_checksums=self._verify_checksums)
            self._hand_out(track.play(moment, result), digest, result)
        result.exchanges = sorted(tracks)
        for track in tracks.values():
            self._hand_out(track.finish(result.last or 0), digest, result)
            track.account(result)
        result.digest = digest.hexdigest()
        return result

    def _hand_out(self, events: list[MarketEvent], digest: EventDigest, result: ReplayResult) -> None:
        if events:
            digest.extend(events)
            _count(events, result)
            if self._on_events is not None:
                self._on_events(events)


class Carried(msgspec.Struct):
    """What a socket is there for: the key of its Dial, and symbol, native name, data type and parameter of each."""

    key: str
    channels: list[tuple[str, str, DataType, str]]

    @classmethod
    def of(cls, line: Line) -> Carried:
        """What a ``carries`` line says; RecordingError when it is damaged, or of a later tickhive."""
        try:
            return msgspec.json.decode(line.frame, type=cls)
        except msgspec.MsgspecError as error:
            raise RecordingError(f"line {line.number} does not say what its socket carries ({error})") from error


@define
class _Track:
    """One exchange's part in a replay: its feed, and a session per recorded socket."""

    stack: ExchangeStack
    feed: Feed
    answers: Session
    dials: OwnDials
    sockets: dict[tuple[int, int, str], Session] = field(factory=dict)
    finished: list[Session] = field(factory=list)
    wanted: dict[str, tuple[Session, Fetch]] = field(factory=dict)

    @classmethod
    def of(cls, stack: ExchangeStack, *, verify_checksums: bool) -> _Track:
        instruments = InstrumentTable(stack.exchange)
        settings = stack.settings_type()
        feed = Feed(stack, stack.exchange, settings, instruments, verify_checksums=verify_checksums)
        answers = Session(stack, Dial("recorded answers", (), ()), feed)
        return cls(stack, feed, answers, OwnDials(stack, settings))

    def play(self, moment: Moment, result: ReplayResult) -> list[MarketEvent]:
        """Give one line to whoever would have received it live."""
        line, at = moment.line, moment.at
        match line.kind, line.direction:
            case "http", "in":
                return self._answer(line, at, result)
            case "connect", _:
                return self._hang_up(moment, "the recorder connected again")
            case "carries", _:
                self._carry(moment)
                return []
            case "tick", _:
                session = self._known(moment)
                return self._quiet(session, session.tick(at)) if session is not None else []
            case "pong", _:
                session = self._known(moment)
                if session is not None:
                    session.ponged(at)
                return []
            case "close", _:
                return self._hang_up(moment, line.frame.decode("utf-8", "replace") or "closed")
            case "ws", "in":
                result.frames += len(moment.frames)
                session = self._socket(moment)
                return self._quiet(session, session.receive(moment.frames, at))
            case _:
                result.sent += 1
                return []

    def finish(self, at: int) -> list[MarketEvent]:
        """The recording ends: what is known of the holes it leaves."""
        for session in self.sockets.values():
            session.closed("the recording ends", at)
        return self.feed.finish()

    def account(self, result: ReplayResult) -> None:
        """Add up what the sessions counted."""
        for session in [self.answers, *self.sockets.values(), *self.finished]:
            counted = session.statistics
            result.malformed += counted.malformed
            result.unknown += counted.unknown
            result.rejected += counted.rejected
            result.checksums_verified += counted.checksums_verified
            result.checksums_failed += counted.checksums_failed
        result.instruments += len(self.feed.instruments)

    def _answer(self, line: Line, at: int, result: ReplayResult) -> list[MarketEvent]:
        status = line.status or 200
        wanted = self.wanted.pop(_without_host(line.url), None)
        if status >= 400:
            result.http_errors += 1
            if wanted is None:
                return []
            session, fetch = wanted
            return self._quiet(session, session.fetch_failed(fetch, line.frame.decode("utf-8", "replace"), at))
        result.http += 1
        session, fetch = wanted or (self.answers, Fetch(line.url))
        return self._quiet(session, session.answered(fetch, Answer(status, line.frame), at))

    def _socket(self, moment: Moment) -> Session:
        line = moment.line
        key = (moment.file, line.connection, line.url)
        session = self.sockets.get(key)
        if session is None:
            own = self.dials.of(line.url)
            name = own.key if own is not None else f"recorded {moment.file}.{line.connection} {line.url}"
            session = self.sockets[key] = self._open(Dial(name, (line.url,), ()), moment.at)
        return session

    def _known(self, moment: Moment) -> Session | None:
        return self.sockets.get((moment.file, moment.line.connection, moment.line.url))

    def _carry(self, moment: Moment) -> None:
        """The recorder's socket was there for these channels: so the session asks and misses what it did live."""
        line = moment.line
        carried = Carried.of(line)
        channels = [Channel(*each) for each in carried.channels]
        session = self._known(moment)
        if session is None:
            key = (moment.file, line.connection, line.url)
            self.sockets[key] = self._open(Dial(carried.key, (line.url,), channels), moment.at)
            return
        wanted, had = frozenset(channels), session.channels
        session.add([channel for channel in channels if channel not in had], moment.at)
        gone = [channel for channel in had if channel not in wanted]
        session.remove(gone, moment.at)
        for channel in gone:
            if not self.feed.carriers(channel):
                self.feed.forget(channel)
        self._quiet(session, [])

    def _open(self, dial: Dial, at: int) -> Session:
        session = Session(self.stack, dial, self.feed)
        session.opened(at)
        self._quiet(session, [])
        return session

    def _hang_up(self, moment: Moment, reason: str) -> list[MarketEvent]:
        session = self.sockets.pop((moment.file, moment.line.connection, moment.line.url), None)
        if session is None:
            return []
        self.finished.append(session)
        return self._quiet(session, session.closed(reason, moment.at))

    def _quiet(self, session: Session, events: list[MarketEvent]) -> list[MarketEvent]:
        """Send nothing, and remember what the session wants to fetch: the answer may stand further on."""
        session.outbox.clear()
        for fetch in session.fetches:
            self.wanted[_without_host(fetch.url)] = (session, fetch)
        session.fetches.clear()
        return events


def _count(events: list[MarketEvent], result: ReplayResult) -> None:
    for event in events:
        name = _NAMES.get(type(event)) or _name(type(event))
        result.events[name] += 1
        if isinstance(event, InstrumentUpdate):
            continue
        if isinstance(event, Gap):
            result.gaps += 1
        result.symbols.setdefault(event.exchange, {}).setdefault(event.symbol, Counter())[name] += 1


_NAMES: dict[type, str] = {}


def _name(cls: type) -> str:
    name = _NAMES[cls] = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
    return name


def _without_host(url: str) -> str:
    """What was asked for; the recorder may have asked another of the venue's addresses than the plugin names."""
    return url.partition("://")[2].partition("/")[2]
