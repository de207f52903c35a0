"""Cuts a small recording out of a large one: the road from what went wrong in the field to a test of a plugin.

What a replay needs to begin is kept from the time before the cut: what sockets were opened for, the instruments, how
the venue confirmed the subscriptions. Data is kept from within it only. A book needs its snapshot: cut those from the
beginning, or from before the socket was opened.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from attrs import Factory, define

from tickhive.channels import EVERY, InstrumentTable
from tickhive.errors import RecordingError
from tickhive.events import InstrumentUpdate, MarketEvent
from tickhive.plugin.contract import Alive, Answer, Dial, Fetch, Malformed
from tickhive.plugin.registry import PluginRegistry, default_registry
from tickhive.plugin.stack import ExchangeStack
from tickhive.recording.compression import packer_of
from tickhive.recording.lines import again, header
from tickhive.recording.owners import host_of, owners_of
from tickhive.recording.reader import Line
from tickhive.recording.replay import Carried
from tickhive.recording.timeline import Moment, in_time, survey
from tickhive.session.faults import FAULTS
from tickhive.session.view import OutsideView


@define
class Cut:
    """What to keep: from ``start`` to before ``end`` (ns UTC, None: no bound), of these ``symbols`` (none: of all)."""

    start: int | None = None
    end: int | None = None
    symbols: Collection[str] = ()


@define
class CutResult:
    """How many lines were kept ``of`` how many; ``notes`` are sentences a user should see."""

    kept: int = 0
    of: int = 0
    notes: list[str] = Factory(list)


def cut_recording(
    paths: Iterable[Path | str],
    to: Path | str,
    cut: Cut,
    registry: PluginRegistry | None = None,
    *,
    exchange: str | None = None,
) -> CutResult:
    """Write what ``cut`` says of these recordings into a file that is not there yet, packed by the ending of its name.

    ``exchange`` says whose recording it is where the hosts do not. Raises RecordingError, and leaves no file, when
    nothing of the symbols or the time is in it.
    """
    sources, target = [Path(path) for path in paths], Path(to)
    result = CutResult()
    surveyed = survey(sources, result.notes.append)
    owners = owners_of(sources, surveyed, registry or default_registry(), exchange, result.notes.append)
    scissors = _Scissors(owners, cut)
    packer = packer_of(target)()
    with _fresh(target) as file:
        file.write(packer.pack(header(uuid.uuid4().hex, 1)))
        for moment in in_time(sources, surveyed):
            result.of += 1
            if (line := scissors.kept(moment)) is not None:
                result.kept += 1
                file.write(packer.pack(again(line)))
        file.write(packer.end())
        if not scissors.found:
            symbols = f" of {', '.join(cut.symbols)}" if cut.symbols else ""
            raise RecordingError(f"{', '.join(map(str, sources))}: no data{symbols} in that time; nothing was written")
    return result


@contextmanager
def _fresh(path: Path) -> Iterator[BinaryIO]:
    """A file that was not there before, and is not there afterwards when the block raises."""
    try:
        file = path.open("xb")
    except FileExistsError:
        raise RecordingError(f"{path} is there already; name another file, or move this one") from None
    except OSError as error:
        raise RecordingError(f"{path}: cannot be written ({error.strerror or error})") from error
    try:
        with file:
            yield file
    except BaseException as error:
        path.unlink()
        if isinstance(error, OSError):
            raise RecordingError(f"{path}: cannot be written ({error.strerror or error})") from error
        raise


class _Scissors:
    """Decides line by line. Every frame is parsed, also those before the cut: a plugin may remember what they said."""

    def __init__(self, owners: dict[str, ExchangeStack], cut: Cut) -> None:
        self._owners = owners
        self._cut = cut
        self._views: dict[Any, OutsideView] = {}
        self._numbers: dict[tuple[int, int], int] = {}
        self._instruments: dict[str, InstrumentTable] = {}
        self.found = False
        """Whether any data was within the cut."""

    def kept(self, moment: Moment) -> Line | None:
        """The line as it is to be written; None to leave it out."""
        line, cut = moment.line, self._cut
        stack = self._owners.get(host_of(line.url))
        if stack is None or (cut.end is not None and moment.at >= cut.end):
            return None
        within = cut.start is None or moment.at >= cut.start
        match line.kind, line.direction:
            case "ws", "in":
                keep = self._frame(stack, moment, within)
            case "http", "in":
                keep = self._answer(stack, moment, within)
            case "carries", _:
                line = self._narrowed(line)
                keep = True
            case "tick" | "pong", _:
                keep = within
            case _:
                keep = True
        if not keep:
            return None
        if line.connection:
            # Several recordings become one, in which every socket has a number of its own.
            numbers = self._numbers
            line.connection = numbers.setdefault((moment.file, line.connection), len(numbers) + 1)
        return line

    def _frame(self, stack: ExchangeStack, moment: Moment, within: bool) -> bool:
        view = self._view(stack, (moment.file, moment.line.connection, moment.line.url))
        try:
            events = list(stack.bound("parse")(view, moment.line.frame, moment.at))
        except FAULTS:
            events = [Malformed("parse raised")]  # what breaks a plugin is what is looked for
        view.instruments.extend(event.instrument for event in events if isinstance(event, InstrumentUpdate))
        data = [event for event in events if isinstance(event, MarketEvent)]
        if data:
            return within and self._wanted(data)
        self.found = self.found or (within and not self._cut.symbols)
        return within or not all(isinstance(event, Alive) for event in events)

    def _answer(self, stack: ExchangeStack, moment: Moment, within: bool) -> bool:
        line = moment.line
        view = self._view(stack, None)
        try:
            answer = Answer(line.status or 200, line.frame)
            events = list(stack.call.read(session=view, fetch=Fetch(line.url), answer=answer, at=moment.at) or ())
        except FAULTS:
            return within
        listed = [event.instrument for event in events if isinstance(event, InstrumentUpdate)]
        view.instruments.extend(listed)
        if listed:
            return not self._cut.symbols or any(each.symbol in self._cut.symbols for each in listed)
        data = [event for event in events if isinstance(event, MarketEvent)]
        return within and (not data or self._wanted(data))

    def _wanted(self, data: list[MarketEvent]) -> bool:
        wanted = not self._cut.symbols or any(event.symbol in self._cut.symbols for event in data)
        self.found = self.found or wanted
        return wanted

    def _narrowed(self, line: Line) -> Line:
        """The socket as if it had been there for these symbols only; the others would be missed in the replay."""
        if not self._cut.symbols:
            return line
        carried = Carried.of(line)
        carried.channels = [each for each in carried.channels if each[0] in (*self._cut.symbols, EVERY)]
        line.frame = msgspec.json.encode(carried)
        return line

    def _view(self, stack: ExchangeStack, socket: Any) -> OutsideView:
        view = self._views.get((stack.exchange, socket))
        if view is None:
            table = self._instruments.setdefault(stack.exchange, InstrumentTable(stack.exchange))
            view = OutsideView(stack.exchange, stack.settings_type(), table, stack.call.memory())
            if socket is not None:
                view.dial = Dial("recorded", (socket[2],), ())
            self._views[stack.exchange, socket] = view
        return view
