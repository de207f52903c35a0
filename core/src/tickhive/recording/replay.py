"""Plays recordings through the same session that runs live: the same events, in the same order, every time.

Whose recording it is follows from the hosts of its addresses: each plugin's ``hosts`` hook names those it reads. What
came in over a socket goes to a session of that socket, what was answered over HTTP to the plugin's ``read``. What the
session would send or fetch is not sent: the recording holds what came of it. Time is the recording's; deadlines are
not called, because what the recorder's session did about them is in the recording already.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import Factory, define, field

from tickhive.channels import InstrumentTable
from tickhive.digest import EventDigest
from tickhive.errors import PluginError, RecordingError, UnknownExchangeError
from tickhive.events import Gap, InstrumentUpdate, MarketEvent
from tickhive.plugin.contract import Answer, Dial, Fetch
from tickhive.plugin.registry import PluginRegistry, default_registry
from tickhive.plugin.stack import ExchangeStack
from tickhive.recording.reader import Line
from tickhive.recording.timeline import Moment, Survey, in_time, survey
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
        owners = self._owners(surveyed, result.notes)
        tracks: dict[str, _Track] = {}
        digest = EventDigest()
        last: int | None = None
        for moment in in_time(self._paths, surveyed):
            if self._speed is not None and last is not None and moment.at > last:
                self._sleep((moment.at - last) / 1e9 / self._speed)
            last = moment.at
            result.first = moment.at if result.first is None else result.first
            result.last = moment.at
            stack = owners.get(_host(moment.line.url))
            if stack is None:
                result.skipped += 1
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

    def _owners(self, surveyed: Survey, notes: list[str]) -> dict[str, ExchangeStack]:
        """Whose is each host?"""
        seen = {_host(url) for url in surveyed.urls} - {""}
        if self._exchange is not None:
            stack = self._registry.load(self._exchange)
            # A file may hold several venues; where it names none of this one's hosts (a local server's), all is its.
            return dict.fromkeys((seen & set(_hosts_of(stack))) or seen | {""}, stack)
        owners: dict[str, ExchangeStack] = {}
        for name in self._registry.available():
            try:
                stack = self._registry.load(name)
                known = _hosts_of(stack)
            except (PluginError, UnknownExchangeError) as error:
                notes.append(str(error))
                continue
            for host in seen.intersection(known):
                owners.setdefault(host, stack)
        if not owners:
            raise RecordingError(
                f"{', '.join(map(str, self._paths))}: no installed exchange knows the hosts {_listed(seen)} "
                f"(installed: {_listed(self._registry.available())}). Install the package of their exchange, or say "
                "whose recording it is: --exchange NAME"
            )
        if strangers := seen - owners.keys():
            notes.append(f"lines of {_listed(strangers)} were skipped: no installed exchange knows these hosts")
        return owners


@define
class _Track:
    """One exchange's part in a replay: its feed, and a session per recorded socket."""

    stack: ExchangeStack
    feed: Feed
    answers: Session
    sockets: dict[tuple[int, int, str], Session] = field(factory=dict)
    finished: list[Session] = field(factory=list)
    wanted: dict[str, tuple[Session, Fetch]] = field(factory=dict)

    @classmethod
    def of(cls, stack: ExchangeStack, *, verify_checksums: bool) -> _Track:
        instruments = InstrumentTable(stack.exchange)
        feed = Feed(stack, stack.exchange, stack.settings_type(), instruments, verify_checksums=verify_checksums)
        return cls(stack, feed, Session(stack, Dial("recorded answers", (), ()), feed))

    def play(self, moment: Moment, result: ReplayResult) -> list[MarketEvent]:
        """Give one line to whoever would have received it live."""
        line, at = moment.line, moment.at
        match line.kind, line.direction:
            case "http", "in":
                return self._answer(line, at, result)
            case "connect", _:
                return self._hang_up(moment, "the recorder connected again")
            case "close", _:
                return self._hang_up(moment, line.frame.decode("utf-8", "replace") or "closed")
            case "ws", "in":
                result.frames += 1
                session = self._socket(moment)
                return self._quiet(session, session.receive([line.frame], at))
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
        if status >= 400:
            result.http_errors += 1
            return []
        result.http += 1
        session, fetch = self.wanted.pop(line.url, (self.answers, Fetch(line.url)))
        return self._quiet(session, session.answered(fetch, Answer(status, line.frame), at))

    def _socket(self, moment: Moment) -> Session:
        line = moment.line
        key = (moment.file, line.connection, line.url)
        session = self.sockets.get(key)
        if session is None:
            dial = Dial(f"recorded {moment.file}.{line.connection} {line.url}", (line.url,), ())
            session = self.sockets[key] = Session(self.stack, dial, self.feed)
            session.opened(moment.at)
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
            self.wanted[fetch.url] = (session, fetch)
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


def _hosts_of(stack: ExchangeStack) -> Sequence[str]:
    try:
        return [host.lower() for host in stack.call.hosts() or ()]
    except Exception as error:
        cause = f"its hosts hook failed: {type(error).__name__}: {error}"
        raise stack.refuse(cause, "Report this to its authors") from error


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
