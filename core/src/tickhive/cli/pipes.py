"""What to do when whoever reads our output has gone."""

from __future__ import annotations

import os
import sys


def close_stdout() -> None:
    """Let what is still written to stdout vanish: its reader has gone, and Python flushes it once more at the end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
