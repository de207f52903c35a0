"""The command ``tickhive``: its subcommands, loaded when used, and how it ends.

Exit codes: 0 all went well, 1 a problem was found or something failed, 2 the command was not understood.
130 means a second Ctrl-C cut the orderly end short.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any, NoReturn

import click

from tickhive.cli.crashes import redacted_crashes
from tickhive.cli.pipes import close_stdout
from tickhive.errors import TickhiveError

COMMANDS = {
    "run": "Collect live market data: tickhive run EXCHANGE SYMBOL...",
    "demo": "Collect from a simulated exchange and show what came of it.",
    "init": "Write a commented configuration file.",
    "check": "Say everything that is wrong with a configuration, and start nothing.",
    "plugins": "List the installed exchanges and stores.",
    "verify": "Try an exchange plugin against the conformance suite.",
    "replay": "Play recorded traffic through today's code.",
    "cut": "Cut a small recording out of a large one.",
    "new": "Make a package for an exchange of your own: tickhive new NAME",
}
"""Name and one-line help of each subcommand; its code is ``tickhive.cli.<name>_command:command``."""


class LazyGroup(click.Group):
    """Imports a subcommand only when it is used, so that ``--help`` costs nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of a first acquaintance."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one subcommand."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"tickhive.cli.{cmd_name}_command")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Print the installed version and end."""
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import version

    click.echo(f"tickhive {version('tickhive')}")
    ctx.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=(
        "Exit codes: 0 all went well, 1 a problem was found or something failed, 2 the command was not understood."
    ),
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=print_version, help="Print the version."
)
@click.option("--debug", is_flag=True, help="Show tracebacks and log everything.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="What is logged to stderr.")
@click.option("--log-json", is_flag=True, help="Log one JSON object per line.")
@click.pass_context
def cli(ctx: click.Context, debug: bool, log_level: str | None, log_json: bool) -> None:
    """Collect live market data from exchanges. Every exchange is a plugin; `tickhive plugins` lists yours.

    First steps: `tickhive demo` needs no network, `tickhive run EXCHANGE SYMBOL` collects live.
    """
    ctx.obj = {"debug": debug, "log_level": "debug" if debug else log_level, "log_json": log_json}


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and end the process with its exit code."""
    _speak_utf8()
    given = sys.argv[1:] if arguments is None else arguments
    with redacted_crashes():
        sys.exit(_run(given))


def _run(given: list[str]) -> int:
    try:
        code: Any = cli.main(args=given, prog_name="tickhive", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output (head, less) has gone: that ends us, and is no failure of ours.
        close_stdout()
        sys.exit(0)
    except TickhiveError as error:
        if "--debug" in given:
            raise
        _fail(str(error))
    except Exception as error:
        if "--debug" in given:
            raise
        _fail(
            f"{type(error).__name__}: {error}\nThis is a defect. `tickhive --debug ...` shows where; please report it."
        )
    return code if isinstance(code, int) else 0


def _fail(text: str) -> NoReturn:
    from tickhive.redaction import default_redactor

    click.echo(f"Error: {default_redactor.mask(text)}", err=True)
    sys.exit(1)


def _speak_utf8() -> None:
    """Never fail because a terminal or pipe cannot show a character."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
