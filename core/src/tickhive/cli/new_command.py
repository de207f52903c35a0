"""``tickhive new``: an exchange package to start from, which installs and passes its tests at once."""

from __future__ import annotations

from pathlib import Path

import click

from tickhive.authoring import Names, new_package
from tickhive.plugin.registry import default_registry


@click.command("new")
@click.argument("name")
@click.argument("dir", required=False, type=click.Path(path_type=Path, file_okay=False))
def command(name: str, dir: Path | None) -> None:
    """Make a package for the exchange NAME in DIR (tickhive-NAME): small, complete, and green before a line is changed.

    NAME is what users will write in their configuration: lower-case letters and digits, in words joined by - or _.
    """
    names = Names(name)
    package = f"tickhive-{names.distribution}"
    directory = dir or Path(package)
    files = new_package(names, directory)
    click.echo(
        f"Made {package} in {directory}: {len(files)} files. Next:\n\n"
        f"  cd {directory}\n"
        '  pip install -e ".[test]"\n'
        "  pytest\n"
        f"  tickhive verify {name}\n"
        f"  tickhive demo --exchange {name}\n\n"
        "The exchange it talks to is made up. README.md says what to change, file by file."
    )
    other = default_registry().found().get(name)
    if other is not None:
        who = f"{other.distribution} {other.version}"
        click.echo(f"\nNote: {name} is offered by {who} already; only one package can be, so uninstall that first.")
