"""Cases 4xx, continued: sides, books, names and ids mean what they mean on every exchange."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal, InvalidOperation

from tickhive.channels import EVERY, Instrument, is_symbol
from tickhive.events import BookDelta, BookSnapshot, InstrumentUpdate, Level, Liquidation, Quote, Trade
from tickhive.session.book import OrderBook
from tickhive.testing.case import CaseFailed, NotOffered, case
from tickhive.testing.cases.values import kind, market_events
from tickhive.testing.subject import Subject


@case(
    "TH-407",
    "a trade's side is the taker's",
    reason="With the maker's side every measure of order flow has the wrong sign.",
    mend="Where the venue names the maker's side (or says that the buyer was the maker), turn it round.",
)
def side_is_the_takers(subject: Subject) -> None:
    """A taker who buys pays the ask: compare trades with the book that was known when they came."""
    best: dict[str, tuple[Decimal | None, Decimal | None]] = {}
    books: dict[tuple[str, int], OrderBook] = {}
    votes: Counter[bool] = Counter()
    for sample in subject.samples:
        if sample.source != subject.VENUE:
            continue
        for event in sample.events:
            if isinstance(event, Quote):
                best[event.symbol] = event.bid, event.ask
            elif isinstance(event, (BookSnapshot, BookDelta)):
                best[event.symbol] = _best_of(books, event)
            elif isinstance(event, Trade) and event.symbol in best and isinstance(event.price, Decimal):
                bid, ask = best[event.symbol]
                if bid is not None and ask is not None and bid < ask and not bid < event.price < ask:
                    votes[(event.side == "buy") == (event.price >= ask)] += 1
    if sum(votes.values()) < 8:
        raise NotOffered("a simulated venue whose trades happen at the best prices of its books")
    if votes[False] > votes[True]:
        raise CaseFailed(
            f"parse gave {votes[False]} of {sum(votes.values())} trades the maker's side: buys at the bid, sells at "
            "the ask",
            "Turn the side round: the taker sells where the buyer was the maker",
        )


def _best_of(
    books: dict[tuple[str, int], OrderBook], event: BookSnapshot | BookDelta
) -> tuple[Decimal | None, Decimal | None]:
    book = books.setdefault((event.symbol, event.depth), OrderBook())
    try:
        if isinstance(event, BookSnapshot):
            book.apply_snapshot(event.bids, event.asks)
        else:
            book.apply_delta(event.bids, event.asks)
        bid, ask = book.best_bid(), book.best_ask()
    except (ValueError, ArithmeticError, TypeError, AttributeError):
        return None, None
    return bid[0] if bid else None, ask[0] if ask else None


@case(
    "TH-408",
    "book levels are the venue's text",
    reason="Checksums are computed over the text, and books are a third as dear as with Decimals.",
    mend="Decode levels as list[Level]: a JSON row of two texts becomes one as it is.",
)
def levels_are_text(subject: Subject) -> None:
    """Look at every level of every book event."""
    seen = False
    for sample, event in market_events(subject):
        if not isinstance(event, (BookSnapshot, BookDelta)):
            continue
        for name in ("bids", "asks"):
            for level in getattr(event, name):
                seen = True
                if not isinstance(level, Level) or not isinstance(level.price, str) or not isinstance(level.size, str):
                    raise CaseFailed(
                        f"parse put {level!r} into the {name} of a {kind(event)} ({sample.source})",
                        "Decode levels as list[Level], which keeps price and size as text",
                    )
                try:
                    fine = Decimal(level.price).is_finite() and Decimal(level.size) >= 0
                except InvalidOperation:
                    fine = False
                if not fine:
                    raise CaseFailed(
                        f"parse put the level {level.price!r}, {level.size!r} into the {name} of a {kind(event)}",
                        "Price and size are numbers written out, sizes not negative; zero deletes",
                    )
    if not seen:
        raise NotOffered("order books in the frames")


@case(
    "TH-409",
    "symbols are the ones that were asked for",
    reason="Users ask for BTC-USDT on every exchange and look for that name in what comes.",
    mend="Turn the venue's name into ours: session.instruments.symbols.get(native, native).",
    hooks=("venue",),
)
def symbols_are_normalised(subject: Subject) -> None:
    """Everything in the rehearsal must be of a symbol that was subscribed."""
    clean = subject.clean
    asked = {channel.symbol: channel.native for channel in clean.channels}
    natives = {native: symbol for symbol, native in asked.items()}
    for sample, event in market_events(subject):
        if sample.source != subject.VENUE or event.symbol in asked or event.symbol == EVERY:
            continue
        known = clean.rehearsal.instruments.get(event.symbol)
        if known is not None and isinstance(event, (InstrumentUpdate, Liquidation)):
            continue
        meant = natives.get(event.symbol)
        raise CaseFailed(
            f"parse answered a {kind(event)} of {event.symbol!r}"
            + (f", the venue's name of {meant}" if meant else f", asked for were {', '.join(asked)}"),
            "Write session.instruments.symbols.get(native, native) as the symbol",
        )


@case(
    "TH-410",
    "instruments go by both names, and say what their sizes count",
    reason="Without them nobody can tell ten contracts from ten bitcoin, nor subscribe by the name they know.",
    mend="Build each Instrument with make_symbol, the venue's own name as native, and its size_unit.",
    hooks=("instruments", "venue"),
)
def instruments_round_trip(subject: Subject) -> None:
    """Names go there and back, each once, agree with what the instrument says of itself, and so do its trades."""
    rehearsal = subject.rehearse()
    table = rehearsal.instruments
    if not len(table):
        raise CaseFailed("instruments listed nothing at the simulated venue", "Let read answer InstrumentUpdate events")
    natives: dict[tuple[str, bool], str] = {}
    for each in table:
        index = each.type == "index"
        other = natives.setdefault((each.native, index), each.symbol)
        if other != each.symbol:
            raise CaseFailed(f"read gave {each.native} two symbols: {other} and {each.symbol}", "Give each name one")
        if not is_symbol(each.symbol):
            raise CaseFailed(f"read answered the symbol {each.symbol!r}", "Write symbols with make_symbol(...)")
        if each.exchange != subject.exchange:
            raise CaseFailed(f"read answered an instrument of {each.exchange!r}", "Write session.exchange there")
        here = table.symbols.get(each.native)
        if not index and here != each.symbol:
            raise CaseFailed(f"read named {each.native} {each.symbol} and {here}", "Give each name one symbol")
        _check_instrument(each)
    for symbol in rehearsal.venue.symbols:
        if table.get(symbol) is None:
            raise CaseFailed(f"the venue trades {symbol}, which instruments does not list", "Use one spelling in both")
    _check_steps(subject)


def _check_steps(subject: Subject) -> None:
    """Trades happen in whole steps: what is finer than tick_size or lot_size shows that these are misread."""
    for sample in subject.samples:
        listed = subject.instruments(sample)
        for event in sample.events:
            instrument = listed.get(event.symbol) if isinstance(event, Trade) else None
            if instrument is None or not isinstance(event, Trade):
                continue
            for name, step, value in (
                ("tick_size", instrument.tick_size, event.price),
                ("lot_size", instrument.lot_size, event.size),
            ):
                if not isinstance(step, Decimal) or not isinstance(value, Decimal) or not value.is_finite():
                    continue
                if step > 0 and value % step:
                    word = "price" if name == "tick_size" else "size"
                    raise CaseFailed(
                        f"{name} of {event.symbol} is {step}, and a trade has the {word} {value} ({sample.source})",
                        f"Take {name} from the field that says in which steps the {word} moves, in the unit of the "
                        "trades; None where the venue does not say",
                    )


def _check_instrument(each: Instrument) -> None:
    parts = each.symbol.split("-")
    if parts[:2] != [each.base, each.quote] and each.type != "index":
        words = f"{each.symbol} has the base {each.base!r} and the quote {each.quote!r}"
        if each.base not in parts[0] or each.quote not in parts[1]:
            raise CaseFailed(words, "Make the symbol of base and quote: make_symbol(base, quote, ...)")
    derivative = each.type in ("perpetual", "future", "option")
    if derivative != (len(parts) > 2):
        raise CaseFailed(f"{each.symbol} is called {each.type}", "Give type and symbol the same form: make_symbol(...)")
    if each.size_unit == "contracts" and each.contract_size is None:
        raise CaseFailed(
            f"sizes of {each.symbol} count contracts, but contract_size is None", "Say what one contract is worth"
        )
    for name in ("tick_size", "lot_size"):
        value = getattr(each, name)
        if value is not None and value <= 0:
            raise CaseFailed(f"{name} of {each.symbol} is {value}", f"Make {name} positive, None where it is unknown")


@case(
    "TH-411",
    "trades have an id, each its own",
    reason="Trades are told apart, refilled and de-duplicated by their ids.",
    mend="Write the venue's id of the trade as text; where many are merged, the last one's, with their count.",
)
def trades_have_ids(subject: Subject) -> None:
    """Look at the trades of the rehearsal and of the recordings."""
    told: dict[tuple[str, str], set[str]] = {}
    for sample, event in market_events(subject):
        if not isinstance(event, Trade):
            continue
        if not isinstance(event.id, str) or not event.id:
            raise CaseFailed(f"parse gave a trade the id {event.id!r}", "Write the venue's id as text")
        if event.price == 0 or not event.size > 0:
            raise CaseFailed(f"parse answered a trade of {event.size} at {event.price}", "Answer Malformed instead")
        seen = told.setdefault((sample.source, event.symbol), set())
        if sample.source == subject.VENUE and event.id in seen:
            raise CaseFailed(
                f"parse answered two trades of {event.symbol} with the id {event.id}",
                "Take the id of the trade, not of the order or the message",
            )
        seen.add(event.id)
    if not told:
        raise NotOffered("trades in the frames")
