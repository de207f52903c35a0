"""The commented configuration that `tickhive init` writes."""

from __future__ import annotations

import json
from collections.abc import Sequence

TEMPLATE = """\
# What tickhive collects and where it puts it. `tickhive check` reads this file and starts nothing.
# Keep it to yourself once it holds credentials: chmod 600.

[service]
data_dir = "data"            # undelivered events and state live below it
log_level = "info"           # debug, info, warning, error or critical
log_format = "console"       # console for people, json for machines
# drain_seconds = 30.0       # how long a stop may take to hand stored events to the sinks
# record = "recordings"      # a folder for the raw frames of every run, to find out later what an exchange said

# [restarts]                 # when the manager restarts a collector that cannot help itself
# patience_seconds = 60.0    # unhealthy this long
# max_restarts = 5           # so often within window_seconds, then it is shown as failed
# window_seconds = 600.0

# [spool]                    # events on their way to the sinks, kept on disk until all of them have them
# max_bytes = 10_000_000_000

# [plugins]
# block = []                 # installed exchanges that must not be used

# [exchanges.{exchange}]
# url = "wss://..."          # a setting of the exchange package: another WebSocket address than its own

# [accounts.main]
# exchange = {exchange_text}
# key_env = "MAIN_KEY"       # the environment variable that holds it; key_file, file and keyring are other places
# secret_env = "MAIN_SECRET"
# passphrase_env = "MAIN_PASSPHRASE"

[[collectors]]
exchange = {exchange_text}
symbols = {symbols}  # or patterns: "*-USDT"; the exchange's own names are accepted too
data_types = {data_types}
auto_restart = true
# redundancy = 2             # two sockets for everything: the loss of one goes unnoticed
# account = "main"           # for orders, fills, balances and positions, of the account that is named above
"""

SINK = """
[[sinks]]                    # stores; leave them out to collect for callbacks only
type = {sink}
path = "data"
"""


def default_config(
    exchange: str, symbols: Sequence[str], data_types: Sequence[str] = ("trade", "ticker"), sink: str | None = None
) -> str:
    """The text of a configuration for one exchange, complete and valid; every name comes from the caller."""
    text = TEMPLATE.format(
        exchange=exchange,
        exchange_text=_toml_text(exchange),
        symbols=_toml_list(symbols),
        data_types=_toml_list(data_types),
    )
    return text + SINK.format(sink=_toml_text(sink)) if sink else text


def _toml_text(text: str) -> str:
    # JSON's strings are TOML's basic strings, but for DEL, which no name holds.
    return json.dumps(text)


def _toml_list(texts: Sequence[str]) -> str:
    return "[" + ", ".join(_toml_text(text) for text in texts) + "]"
