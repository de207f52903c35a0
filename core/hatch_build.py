"""Puts what ``tickhive new`` copies into sdist and wheel: its files are kept once, in ``plugins/template``.

In a checkout they are beside this package, in an sdist within it. An editable install finds the checkout's.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class TemplateHook(BuildHookInterface[Any]):
    """Adds the template's files, and nothing that tools left in its folder."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name every file and where it goes."""
        if version == "editable":
            return
        root = Path(self.root)
        found = (folder for folder in (root / "template", root.parent / "plugins" / "template") if folder.is_dir())
        template = next(found, None)
        if template is None:
            raise FileNotFoundError(f"neither in {root} nor beside it is there the template of exchange packages")
        files = runpy.run_path(str(root / "src" / "tickhive" / "authoring" / "template.py"))["template_files"]
        target = "template" if self.target_name == "sdist" else "tickhive/authoring/template"
        for path in files(template):
            build_data["force_include"][str(template / path)] = f"{target}/{path.as_posix()}"
