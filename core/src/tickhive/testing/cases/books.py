"""Cases 6xx: a book that is served as live is the venue's book, whatever happens to the line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tickhive.channels import Channel, DataType
from tickhive.events import BookDelta, BookSnapshot, Gap
from tickhive.plugin.contract import BookChecksum
from tickhive.session import BookState
from tickhive.testing.case import CaseFailed, NotOffered, case
from tickhive.testing.checksums import LOOK, Telling, book_of, shows, summed_levels
from tickhive.testing.disorder import Disorder, changes, gaps_of, same
from tickhive.testing.rehearsal import Rehearsal
from tickhive.testing.subject import Subject
from tickhive.testing.wire import Parcel, Wire

_ROUNDS = 3
_STEPS = 20
_TRIES = 5
"""A change that only a checksum tells of may be made up for by the next one, before anybody can notice."""
_NEXT = 5
"""A checksum tells at the very next change; so many are on their way at most."""


@case(
    "TH-601",
    "books begin, stay live and are never crossed on a calm line",
    reason="A gap where nothing was lost means that the numbers of the chain are read wrongly.",
    mend="Give snapshot and deltas the venue's numbers: sequence is the state's own, previous the one it builds on, "
    "first the lowest that was merged into it.",
    hooks=("venue",),
)
def calm_books_are_live(subject: Subject) -> None:
    """Nothing is lost, so there is no gap."""
    clean = subject.clean
    books = _books(clean.channels)
    for event in clean.rehearsal.events:
        if isinstance(event, Gap):
            raise CaseFailed(
                f"a gap in {event.data_type} {event.symbol} although nothing was lost: {event.cause}",
                "The checksum computed is not the one sent: look at TH-604"
                if "checksum" in event.cause
                else "Compare sequence, previous and first of the events with the numbers in the frames",
            )
    for channel in books:
        if clean.rehearsal.feed.ledger.state(channel) == "rejected":
            continue
        book = clean.rehearsal.feed.book(*book_of(channel))
        if book.state is not BookState.LIVE:
            raise CaseFailed(
                f"the book of {channel} is {book.state} after 12 s",
                "A book begins with a BookSnapshot: streamed, or by the hook snapshot within Dial.patience",
            )
        bid, ask = book.best_bid(), book.best_ask()
        if bid is not None and ask is not None and bid[0] >= ask[0]:
            raise CaseFailed(f"the book of {channel} is crossed: bid {bid[0]}, ask {ask[0]}", "Do not swap the sides")


def _books(channels: Sequence[Channel]) -> list[Channel]:
    found = [channel for channel in channels if channel.data_type is DataType.ORDERBOOK]
    if not found:
        raise NotOffered("order books at the simulated venue")
    return found


@case(
    "TH-602",
    "snapshots of numbered books carry their number",
    reason="Without it no delta can be joined to the snapshot, or any can.",
    mend="Write the number of the state into BookSnapshot.sequence, streamed or fetched.",
)
def snapshots_are_numbered(subject: Subject) -> None:
    """Deltas with numbers need snapshots with numbers."""
    deltas: set[tuple[object, str, int]] = set()
    unnumbered: dict[tuple[object, str, int], str] = {}
    for sample in subject.samples:
        for event in sample.events:
            if isinstance(event, BookDelta) and event.sequence is not None:
                deltas.add((sample.socket, event.symbol, event.depth))
            elif isinstance(event, BookSnapshot) and event.sequence is None:
                unnumbered[sample.socket, event.symbol, event.depth] = "parse"
    if not deltas:
        raise NotOffered("books whose changes are numbered")
    for socket, snapshot in _fetched_books(subject):
        if snapshot.sequence is None:
            unnumbered.setdefault((socket, snapshot.symbol, snapshot.depth), "read")
    for place in deltas & unnumbered.keys():
        raise CaseFailed(
            f"{unnumbered[place]} answered a BookSnapshot of {place[1]} without a sequence, its deltas have one",
            "Write the snapshot's own number into sequence",
        )


def _fetched_books(subject: Subject) -> list[tuple[object, BookSnapshot]]:
    """The snapshots that were fetched for the sockets of the rehearsal."""
    try:
        calls = subject.clean.recorder.of("read")
    except NotOffered:
        return []
    return [
        (id(call.arguments["session"]), event)
        for call in calls
        for event in call.answer or ()
        if isinstance(event, BookSnapshot)
    ]


@case(
    "TH-603",
    "a lost change is noticed and repaired",
    reason="A book that misses one change is wrong for hours, and looks right.",
    mend="Pass on the numbers (sequence, previous) or the checksum of every change, and let the book be asked for "
    "afresh: unsubscribe, or snapshot.",
    hooks=("venue",),
)
def losses_are_noticed(subject: Subject) -> None:
    """Lose a few, one at a time. Where only checksums tell, a change in the levels they sum: others need not show."""
    telling = Telling(subject)
    rehearsal, books = _collecting(subject)
    books = [channel for channel in books if telling.way(book_of(channel)) is not None]
    if not books:
        raise NotOffered(telling.missing)
    for channel in books:
        for _ in range(2):
            _lose_one(rehearsal, channel, telling)


def _collecting(subject: Subject) -> tuple[Rehearsal, list[Channel]]:
    rehearsal = subject.rehearse()
    books = subject.streams(rehearsal, DataType.ORDERBOOK, limit=2)
    if not books:
        raise NotOffered("order books at the simulated venue")
    rehearsal.start(books)
    if not rehearsal.run_until(lambda: all(rehearsal.feed.book(*book_of(each)).live for each in books), 30.0):
        raise NotOffered("books that begin on a calm line (see TH-601)")
    return rehearsal, [each for each in books if _has_deltas(subject, each)] or books[:1]


def _has_deltas(subject: Subject, channel: Channel) -> bool:
    return any(
        isinstance(event, BookDelta) and (event.symbol, event.depth) == book_of(channel)
        for sample in subject.samples
        for event in sample.events
    )


def _lose_one(rehearsal: Rehearsal, channel: Channel, telling: Telling) -> None:
    key = book_of(channel)
    book, keeper = rehearsal.feed.book(*key), rehearsal.feed.books[key]
    summed = telling.way(key) == "checksums"
    changed: list[bytes] = []  # the first of these is lost

    def lose(wire: Wire, parcel: Parcel) -> Sequence[Parcel]:
        found = changes(rehearsal, wire, parcel.frame, (key,))
        if not found or (
            not changed and summed and not (book.live and shows(keeper.book, found[0], telling.levels(key)))
        ):
            return (parcel,)
        changed.append(parcel.frame)
        return (parcel,) if len(changed) > 1 else ()

    def told() -> bool:
        """Whether it was noticed; that a book is crossed in the end is luck."""
        gaps = gaps_of(rehearsal.events[before:], channel.symbol)
        return any(not summed or "checksum" in gap.cause for gap in gaps)

    before = len(rehearsal.events)
    rehearsal.carrier = lose
    for _ in range(_TRIES if summed else 1):
        changed.clear()
        if not rehearsal.run_until(lambda: changed, 20.0, 0.05):
            raise NotOffered(f"changes of the book of {channel.symbol}")
        rehearsal.run_until(lambda: told() or (summed and len(changed) > _NEXT), 20.0, 0.1)
        if told():
            break
    rehearsal.carrier = lambda wire, parcel: (parcel,)
    if not told():
        after = f"{_NEXT} further changes" if summed else "20 s"
        raise CaseFailed(
            f"a change of the book of {channel.symbol} was lost and no Gap names it after {after}",
            LOOK if summed else "Give every BookDelta the venue's sequence, and previous or first where it sends them",
        )
    if not rehearsal.run_until(lambda: book.live, 60.0):
        raise CaseFailed(
            f"the book of {channel.symbol} is {book.state} 60 s after one change was lost",
            "Let unsubscribe and subscribe bring a fresh snapshot, or answer snapshot",
        )


@case(
    "TH-604",
    "checksums agree",
    reason="A checksum computed wrongly breaks good books for ever, one not computed proves nothing.",
    mend="Compute checksum over the venue's own text, best level first, with its depth, order and sign.",
    hooks=("checksum", "venue"),
)
def checksums_agree(subject: Subject) -> None:
    """Look at the counters of the clean rehearsal, and compare the checksums of whole books and of empty ones."""
    clean = subject.clean
    if not any(isinstance(event, BookSnapshot) for event in clean.rehearsal.events):
        raise NotOffered("order books that begin at the simulated venue (see TH-601)")
    sent = [event for call in clean.recorder.of("parse") for event in call.answer or () if _is_sum(event)]
    if not sent:
        raise CaseFailed(
            "parse answered no BookChecksum in the rehearsal, and the plugin has the hook checksum",
            "Answer BookChecksum(symbol, value, depth) behind the change it belongs to; where the venue sends none, "
            "leave the hook out, or this case where older recordings need the hook",
        )
    for (symbol, _), levels in summed_levels(subject).items():
        if levels == 0:
            raise CaseFailed(
                f"checksum answered the same value for the book of {symbol} and for a book without any level",
                "Compute it over the levels of the book it is given",
            )
    verified = failed = 0
    for wire in (*subject.clean.rehearsal.wires, *subject.clean.rehearsal.ended):
        verified += wire.session.statistics.checksums_verified
        failed += wire.session.statistics.checksums_failed
    if failed:
        raise CaseFailed(
            f"{failed} of {failed + verified} checksums of the calm line differ from what the hook checksum computes",
            "Compare depth, order of the levels, separators and the sign with the venue's description",
        )
    if not verified:
        raise NotOffered("checksums that could be compared")


def _is_sum(event: object) -> bool:
    return isinstance(event, BookChecksum)


@case(
    "TH-605",
    "a fetched snapshot is the streamed book",
    reason="Repairs by REST must lead to the very book the stream would have shown.",
    mend="Let read answer a BookSnapshot with sides, symbol and sequence as the stream has them.",
    hooks=("snapshot", "read", "venue"),
)
def fetched_is_streamed(subject: Subject) -> None:
    """Fetch the snapshot of a live book and compare it where both stand at one number."""
    rehearsal, books = _collecting(subject)
    compared = 0
    for channel in books:
        carries = (dial for dial in rehearsal.dials if channel in dial.channels)
        view = subject.view(rehearsal.instruments, next(carries, rehearsal.dials[0]))
        fetch = rehearsal.stack.call.snapshot(session=view, channel=channel)
        if fetch is None:
            continue
        for _ in range(5):
            rehearsal.run(0.3)
            book = rehearsal.feed.book(*book_of(channel))
            found = [each for each in rehearsal.fetch_all(fetch) if isinstance(each, BookSnapshot)]
            if not found:
                raise CaseFailed(
                    f"read answered no BookSnapshot to the request of snapshot for {channel}", "Read its answer"
                )
            if found[0].symbol != channel.symbol:
                raise CaseFailed(
                    f"read answered a BookSnapshot of {found[0].symbol} to the request for {channel.symbol}",
                    "Take the name from the URL and turn it into ours",
                )
            if not book.live or book.sequence is None or found[0].sequence != book.sequence:
                continue
            compared += 1
            keeper = rehearsal.feed.books[book_of(channel)]
            top = _top(found[0])
            if not same(keeper.book.top_text(len(top[0])), top):
                raise CaseFailed(
                    f"the fetched book of {channel.symbol} differs from the streamed one at {book.sequence}",
                    "Compare sides, units and the number",
                )
    if not compared:
        raise NotOffered("a moment at which the fetched and the streamed book have one number")


def _top(snapshot: BookSnapshot) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    depth = min(5, len(snapshot.bids), len(snapshot.asks))
    bids = sorted(snapshot.bids, key=lambda level: -float(level.price))[:depth]
    asks = sorted(snapshot.asks, key=lambda level: float(level.price))[:depth]
    return [(each.price, each.size) for each in bids], [(each.price, each.size) for each in asks]


@case(
    "TH-606",
    "live books are the venue's through disorder",
    reason="Lines lose, repeat and reorder; what is served as live must be right all the same.",
    mend="See the message: it says what was done to the line before the book was wrong.",
    hooks=("venue",),
)
def books_survive_disorder(subject: Subject) -> None:
    """A walk of lost, repeated and late frames, cuts and slow REST that a seed decides. Where only checksums tell of
    losses, the levels they sum are compared; where nothing does, no frame is lost.
    """
    world = Disorder(subject)
    chance = subject.random("disorder")
    deeds: Sequence[Callable[[], None]]
    if world.told:
        deeds = (world.lose, world.repeat, world.delay, world.delay, world.be_late, world.cut)
    else:
        deeds = (world.cut, world.be_late)
    for _ in range(_ROUNDS):
        for _ in range(_STEPS):
            if chance.random() < 0.35:
                chance.choice(deeds)()
            world.go_on(chance.choice((30, 150, 600)))
        world.settle()


@case(
    "TH-607",
    "live books are the venue's through any disorder hypothesis finds",
    reason="What one seed does not do, another does.",
    mend="See the message; hypothesis prints the shortest story it found.",
    hooks=("venue",),
    quick=False,
)
def books_survive_hypothesis(subject: Subject) -> None:
    """The same by a state machine, within the same limits."""
    try:
        from tickhive.testing.machine import run
    except ImportError:
        raise NotOffered("hypothesis: pip install tickhive[testing]") from None
    run(subject)
