"""Makes an exchange package: a copy of the template under another name, in a folder of its own."""

from __future__ import annotations

from pathlib import Path

from tickhive.authoring.naming import Names
from tickhive.authoring.template import template_files, template_folder
from tickhive.errors import ConfigurationError


def new_package(names: Names, folder: Path) -> list[Path]:
    """Write the package for an exchange into a folder that is empty or not there yet; answers its files, relative.

    ConfigurationError when something is in the way, the folder cannot be written, or this installation has no template.
    """
    template = template_folder()
    if template is None:
        raise ConfigurationError("this installation of tickhive lacks the template; reinstall it: pip install tickhive")
    _refuse_what_is_there(folder)
    # Everything is read before anything is written.
    package = {
        Path(names.rename(path.as_posix())): names.rename((template / path).read_text(encoding="utf-8"))
        for path in template_files(template)
    }
    try:
        for path, text in package.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigurationError(f"cannot be written: {error.strerror or error}", str(folder)) from None
    return list(package)


def _refuse_what_is_there(folder: Path) -> None:
    try:
        # A repository that was just begun is empty, too.
        occupied = any(path.name != ".git" for path in folder.iterdir())
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise ConfigurationError("is a file; name a folder", str(folder)) from None
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror or error}", str(folder)) from None
    if occupied:
        raise ConfigurationError("is there already and not empty; name another folder", str(folder))
