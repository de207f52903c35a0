"""Writes a page that is made from the code, or says that the one in the tree is stale: what its generators share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path


def write_or_check(path: Path, page: Callable[[], str], generator: str, description: str | None) -> int:
    """The command line of a generator: write the page, or with ``--check`` answer 1 when it is stale."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true")
    if not parser.parse_args().check:
        path.write_text(page(), encoding="utf-8")
    elif path.read_text(encoding="utf-8") != page():
        sys.stderr.write(f"{path} is stale; run: python docs/{generator}\n")
        return 1
    return 0
