"""``tickhive replay``: plays recorded traffic through today's code and says what came of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from tickhive.cli.durations import factor
from tickhive.recording import Replay, ReplayResult


@click.command("replay")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False), metavar="FILE...")
@click.option("--exchange", help="Whose recording it is, where its hosts do not say.")
@click.option("--speed", type=factor, help="Times real time; as fast as possible otherwise.")
@click.option("--no-checksums", is_flag=True, help="Do not verify the checksums of books.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    files: tuple[Path, ...], exchange: str | None, speed: float | None, no_checksums: bool, as_json: bool
) -> None:
    """Play recordings (.jsonl, .gz, .zst) and count what they hold. The digest is equal when every event is.

    Exit code 1 when a frame was malformed or a checksum failed.
    """
    replay = Replay(files, exchange=exchange, speed=speed, verify_checksums=not no_checksums)
    result = replay.run()
    if as_json:
        click.echo(json.dumps(result.to_dict(), indent=2))
    else:
        print_result(result)
    if result.malformed or result.checksums_failed:
        raise SystemExit(1)


def print_result(result: ReplayResult) -> None:
    """Say what came of a replay, a line for each kind of event."""
    span = f"{_time(result.first)} to {_time(result.last)}"
    click.echo(f"{', '.join(result.exchanges) or 'no exchange'}: {result.frames} frames, {span}")
    for name, count in sorted(result.events.items()):
        click.echo(f"  {name:<20}{count:>10,}")
    click.echo(f"  {'instruments':<20}{result.instruments:>10,}   from {result.http} REST answers")
    click.echo(f"  {'checksums':<20}{result.checksums_verified:>10,}   verified, {result.checksums_failed} failed")
    click.echo(f"  {'malformed':<20}{result.malformed:>10,}   unknown {result.unknown}, rejected {result.rejected}")
    for note in result.notes:
        click.echo(f"  note: {note}")
    click.echo(f"  digest {result.digest}")


def _time(at: int | None) -> str:
    return "?" if at is None else datetime.fromtimestamp(at / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")
