"""Shows a collection while it runs: a table that is redrawn on a terminal, plain lines everywhere else."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from operator import itemgetter
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tickhive.channels import DataType
from tickhive.cli.tally import Tally

REDRAW_SECONDS = 0.25
MOST_ROWS = 25

Headline = Callable[[], str]
Faults = Callable[[], str]


def collection_table(tally: Tally, most_rows: int = MOST_ROWS) -> Table:
    """One row per symbol (the busiest ones, where there are too many), one column per data type."""
    types = sorted(tally.by_type(), key=list(DataType).index)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("symbol")
    table.add_column("last price", justify="right")
    for data_type in types:
        table.add_column(data_type.value, justify="right")
    table.add_column("gaps", justify="right")
    busiest = sorted(tally.rows.items(), key=lambda item: (-sum(item[1].counts.values()), item[0]))
    several = len({exchange for exchange, _ in tally.rows}) > 1
    for (exchange, symbol), row in sorted(busiest[:most_rows], key=itemgetter(0)):
        table.add_row(
            f"{exchange} {symbol}" if several else symbol,
            "" if row.price is None else f"{row.price:f}",
            *(f"{row.counts[data_type]:,}" for data_type in types),
            Text(f"{row.gaps:,}", style="yellow" if row.gaps else ""),
        )
    if len(busiest) > most_rows:
        table.add_row(f"and {len(busiest) - most_rows} more")
    return table


def plain_line(tally: Tally, faults: str = "") -> str:
    """The same in one line, with the faults at its end where there are any."""
    counts = ", ".join(f"{name.value} {count:,}" for name, count in sorted(tally.by_type().items()))
    return f"{tally.total:,} events, {tally.rate():,.0f}/s, {tally.gaps:,} gaps ({counts or 'nothing yet'})" + (
        f"; {faults}" if faults else ""
    )


@asynccontextmanager
async def shown(
    tally: Tally, headline: Headline, *, faults: Faults = str, every_seconds: float = 10.0
) -> AsyncIterator[None]:
    """Show the tally on stdout for the length of the block: live on a terminal, else a line every so often.

    ``faults`` answers what to say about frames that could not be used, empty for nothing.
    """
    console = Console(file=sys.stdout)
    if console.is_terminal:
        task = asyncio.ensure_future(_redraw(console, tally, headline, faults))
    else:
        task = asyncio.ensure_future(_print_lines(tally, headline, faults, every_seconds))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def live_view(tally: Tally, headline: str, faults: str, most_rows: int) -> Group:
    """What a terminal shows: the headline, the rate, faults where there are any, and the table."""
    rate = Text(f"{tally.total:,} events, {tally.rate():,.0f}/s", style="dim")
    warning = [Text(faults, style="yellow")] if faults else []
    return Group(Text(headline, style="bold"), rate, *warning, collection_table(tally, most_rows))


async def _redraw(console: Console, tally: Tally, headline: Headline, faults: Faults) -> None:
    def draw() -> Group:
        return live_view(tally, headline(), faults(), max(3, console.height - 7))

    with Live(draw(), console=console, auto_refresh=False, transient=False) as live:
        try:
            while True:
                await asyncio.sleep(REDRAW_SECONDS)
                live.update(draw(), refresh=True)
        finally:
            live.update(draw(), refresh=True)


async def _print_lines(tally: Tally, headline: Headline, faults: Faults, every_seconds: float) -> None:
    while True:
        await asyncio.sleep(every_seconds)
        print(f"{headline()}: {plain_line(tally, faults())}", flush=True)


def health_line(collectors: Sequence[Any]) -> str:
    """How many collectors are well, and the first thing that is wrong."""
    health = [collector.get_health_status() for collector in collectors]
    well = sum(1 for each in health if each["healthy"])
    wrong = next((each["reasons"][0] for each in health if each["reasons"]), "")
    names = ", ".join(collector.name for collector in collectors[:3]) + ("..." if len(collectors) > 3 else "")
    return f"{names}: {well} of {len(health)} healthy" + (f" ({wrong})" if wrong else "")
