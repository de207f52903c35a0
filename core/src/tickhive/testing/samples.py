"""The frames of a plugin's venue: what came, when, and what the plugin read in it. From recordings, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from attrs import frozen

from tickhive.channels import Channel, InstrumentTable
from tickhive.events import InstrumentUpdate
from tickhive.plugin.contract import Answer, Dial, Event, Fetch
from tickhive.recording import read_recording
from tickhive.recording.dials import OwnDials
from tickhive.recording.replay import Carried
from tickhive.session import OutsideView
from tickhive.testing.case import CaseFailed
from tickhive.testing.frames import recordings_in
from tickhive.testing.observing import Call, ObservedStack

if TYPE_CHECKING:
    from tickhive.testing.subject import Subject

MOST_FRAMES = 20_000
"""So many recorded frames are looked at."""

UNKNOWN_TIME = 4_000_000_000 * 1_000_000_000
"""The time of frames whose recording does not say when they came: any past is before it."""


@frozen
class Sample:
    """A frame and what the plugin read in it. ``source`` says where it is from, ``url`` and ``socket`` of which socket.

    ``fault`` says what ``parse`` did instead of answering a sequence. Where ``hook`` is ``read``, the frame is the body
    of an answer.
    """

    frame: bytes
    at: int
    events: Sequence[Event]
    source: str
    url: str = ""
    fault: str = ""
    socket: object = None
    dial: Dial | None = None
    hook: str = "parse"


class Recorded:
    """Reads a suite's recordings through the plugin, one view for each socket.

    ``instruments`` are those the recordings list, ``answers`` what was read in their answers by REST.
    """

    def __init__(self, subject: Subject, stack: ObservedStack) -> None:
        self._subject = subject
        self._call = stack.call
        self.instruments = InstrumentTable(subject.exchange)
        self.answers: list[Sample] = []
        self._settings = subject.settings()
        self._hosts = {host.lower() for host in stack.call.hosts()} if stack.offers("hosts") else None
        self._dials = OwnDials(subject.stack, self._settings)
        self._views: dict[tuple[str, int, str], OutsideView] = {}

    def read(self, limit: int = MOST_FRAMES) -> Iterator[Sample]:
        """Every recorded frame with what the plugin reads in it, oldest first."""
        count = 0
        for path in recordings(self._subject.frames):
            at = UNKNOWN_TIME
            for line in read_recording(path):
                if line.t is not None:
                    at = line.t
                if line.kind == "carries" and self._ours(line.url):
                    self._carry((path.name, line.connection, line.url), Carried.of(line))
                if line.direction != "in" or line.kind not in ("ws", "http") or not self._ours(line.url):
                    continue
                source = f"{path.name}:{line.number}"
                if line.kind == "http":
                    if (line.status or 200) >= 400:
                        continue
                    answer = Answer(200, line.frame)
                    call = self._ask("read", (path.name, -1, ""), at, fetch=Fetch(line.url), answer=answer)
                else:
                    call = self._ask("parse", (path.name, line.connection, line.url), at, frame=line.frame)
                events = call.answer if isinstance(call.answer, (list, tuple)) else ()
                for event in events:
                    if isinstance(event, InstrumentUpdate):
                        self.instruments.add(event.instrument)
                if line.kind == "ws":
                    socket, fault = (path, line.connection, line.url), call.fault(list, tuple)
                    dial = call.arguments["session"].dial
                    yield Sample(line.frame, at, events, source, line.url, fault, socket, dial)
                else:
                    self.answers.append(Sample(line.frame, at, events, source, line.url, hook="read"))
                count += 1
                if count >= limit:
                    return

    def _ask(self, hook: str, key: tuple[str, int, str], at: int, **arguments: Any) -> Call:
        call = Call(hook, {"session": self._view(key), "at": at, **arguments})
        try:
            call.answer = getattr(self._call, hook)(**call.arguments)
        except Exception as error:
            call.error = error
        return call

    def _ours(self, url: str) -> bool:
        return self._hosts is None or (urlsplit(url).hostname or "").lower() in self._hosts

    def _view(self, key: tuple[str, int, str]) -> OutsideView:
        view = self._views.get(key)
        if view is None:
            memory = self._call.memory()
            view = OutsideView(self._subject.exchange, self._settings, self.instruments, memory)
            if key[1] >= 0:
                view.dial = self._dials.of(key[2]) or self._subject.dial(key[2])
            self._views[key] = view
        return view

    def _carry(self, key: tuple[str, int, str], carried: Carried) -> None:
        """The recorder noted what the socket was there for."""
        channels = [Channel(*each) for each in carried.channels]
        self._view(key).dial = Dial(carried.key, (key[2],), channels)


def recordings(path: Path | None) -> list[Path]:
    """The recordings of a folder, or the one file; CaseFailed when there is none where one was named."""
    if path is None:
        return []
    if path.is_file():
        return [path]
    found = recordings_in(path)
    if not found:
        raise CaseFailed(f"{path} holds no recording", "Put *.jsonl files there, or set frames = None")
    return found
