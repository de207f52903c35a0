"""Where the template is, and which files belong to it.

The files are kept once, in ``plugins/template`` of the repository: the build puts them beside this module, in a
checkout they are found where they are. The build reads this file by itself, so it imports nothing but the standard
library.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

TOOLS = {"__pycache__", "build", "dist"}
"""Folders that tools leave behind; those whose names begin with a dot or end in ``.egg-info`` are some too."""


def template_folder() -> Path | None:
    """The template's folder; None where an installation lacks it."""
    here = Path(__file__).resolve()
    carried, checkout = here.parent / "template", here.parents[4] / "plugins" / "template"
    return next((folder for folder in (carried, checkout) if (folder / "pyproject.toml").is_file()), None)


def template_files(folder: Path) -> Iterator[Path]:
    """Every file that belongs to the template, below ``folder`` and relative to it."""
    for path in sorted(folder.iterdir()):
        if path.is_file():
            if path.suffix != ".pyc" and path.name != ".coverage":
                yield path.relative_to(folder)
        elif not (path.name in TOOLS or path.name.startswith(".") or path.name.endswith(".egg-info")):
            yield from (Path(path.name, below) for below in template_files(path))
