"""``tickhive cut``: makes a small recording of what matters in a large one."""

from __future__ import annotations

from datetime import UTC, datetime, time
from pathlib import Path

import click

from tickhive.cli.replay_command import print_result
from tickhive.recording import Replay, read_recording
from tickhive.recording.cutting import Cut, cut_recording


@click.command("cut")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False), metavar="FILE...")
@click.option("--to", required=True, type=click.Path(path_type=Path), help="The file to write (.jsonl, .gz, .zst).")
@click.option("--symbol", "symbols", multiple=True, help="Keep this symbol's data only; may be given several times.")
@click.option("--from", "start", metavar="TIME", help="Keep data from this time on.")
@click.option("--until", "end", metavar="TIME", help="Keep data from before this time.")
@click.option("--exchange", help="Whose recording it is, where its hosts do not say.")
def command(
    files: tuple[Path, ...],
    to: Path,
    symbols: tuple[str, ...],
    start: str | None,
    end: str | None,
    exchange: str | None,
) -> None:
    """Cut a fixture out of recordings, and say what replaying it gives.

    TIME is 2026-11-22T12:00:05.25 or, on the day the recording begins, 12:00:05.25; UTC, unless it says otherwise.
    Instruments, subscriptions and other words of the venue from before the cut are kept. An order book needs its
    snapshot, which stands where its socket was opened: leave out --from.
    """
    day = None
    if start is not None or end is not None:
        day = next((line.t for line in read_recording(files[0]) if line.t is not None), None)
    bounds = [None if text is None else _moment(text, day) for text in (start, end)]
    result = cut_recording(files, to, Cut(bounds[0], bounds[1], symbols), exchange=exchange)
    for note in result.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"{to}: {result.kept:,} of {result.of:,} lines, {to.stat().st_size:,} bytes. Replaying it gives")
    print_result(Replay([to], exchange=exchange).run())


def _moment(text: str, day: int | None) -> int:
    """A time in ns UTC; a bare one is on the ``day`` of that moment."""
    try:
        if "T" in text or "-" in text or day is None:
            moment = datetime.fromisoformat(text)
        else:
            moment = datetime.combine(datetime.fromtimestamp(day // 10**9, UTC), time.fromisoformat(text))
    except ValueError:
        raise click.BadParameter(f"expected a time such as 2026-11-22T12:00:05 or 12:00:05.25, got {text!r}") from None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return int(moment.replace(microsecond=0).timestamp()) * 10**9 + moment.microsecond * 1000
