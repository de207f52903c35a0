"""Reads a TOML file and says in plain words what is wrong with it."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from tickhive.errors import ConfigurationError, PermissionsError
from tickhive.redaction import _SECRET_NAME

LARGEST_BYTES = 4 * 1024 * 1024


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of the file; ConfigurationError when it is absent, unreadable, not text or not TOML."""
    source = str(path)
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise ConfigurationError("is a directory; name the configuration file in it", source)
        if not stat.S_ISREG(found.st_mode):
            raise ConfigurationError("is not a regular file; copy its content into one", source)
        if found.st_size > LARGEST_BYTES:
            raise ConfigurationError(
                f"is {found.st_size} bytes long; a configuration has at most {LARGEST_BYTES}", source
            )
        content = path.read_bytes()
    except ConfigurationError:
        raise
    except FileNotFoundError:
        raise ConfigurationError("does not exist; `tickhive init` writes one", source) from None
    except PermissionError:
        raise ConfigurationError("cannot be read by this user; give it the right or run as its owner", source) from None
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror or type(error).__name__}", source) from None
    except ValueError:
        raise ConfigurationError("is not the name of a file", repr(source)) from None
    return parse_toml(content, source)


def parse_toml(content: bytes, source: str) -> dict[str, Any]:
    """The tables of a document; ConfigurationError with line and column when it is not UTF-8 or not TOML."""
    try:
        # Some editors begin a file with a byte order mark, which TOML does not know.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"is not UTF-8 text (line {line}); save it as UTF-8", source) from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"is not valid TOML: {_with_place(str(error), text)}", source) from None
    except RecursionError:
        raise ConfigurationError("is nested too deeply", source) from None
    except ValueError:
        raise ConfigurationError("is not valid TOML: it holds a number that is too long", source) from None


def _with_place(message: str, text: str) -> str:
    if "(at end of document)" not in message:
        return message
    lines = text.splitlines() or [""]
    return message.replace("(at end of document)", f"(at line {len(lines)}, column {len(lines[-1]) + 1})")


_USER_IN_ADDRESS = re.compile(r"[a-zA-Z][\w+.-]*://[^/\s@:]*:([^/\s@]+)@")
_SECRET_KEYS = frozenset({"key", "dsn"})


def secrets_of(table: Any, name: str = "") -> list[str]:
    """The texts in a table that look like credentials, by the name of their key or as a password in an address."""
    if isinstance(table, dict):
        return [secret for key, value in table.items() for secret in secrets_of(value, key)]
    if isinstance(table, list):
        return [secret for value in table for secret in secrets_of(value, name)]
    if not isinstance(table, str) or not table:
        return []
    if name.lower() in _SECRET_KEYS or _SECRET_NAME.fullmatch(name):
        return [table]
    password = _USER_IN_ADDRESS.match(table)
    return [password[1]] if password else []


def check_permissions(path: Path, *, holds_credentials: bool) -> None:
    """Raise PermissionsError when others may change the file, or read it although it holds credentials.

    On POSIX the mode is judged: no write for group and others, and with credentials no right at all for them. On
    Windows rights are access control lists, which the mode does not show; there only a file with credentials in the
    folder that all users share is refused. Keep such a file in your own profile.
    """
    source = str(path)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot be read: {type(error).__name__}", source) from None
    if os.name == "nt":
        if holds_credentials and _is_shared_on_windows(path, os.environ.get("PUBLIC")):
            raise PermissionsError("holds credentials in a folder all users share; move it to your own profile", source)
        return
    allowed = stat.S_IMODE(mode)
    if allowed & (stat.S_IWGRP | stat.S_IWOTH):
        who = "every user" if allowed & stat.S_IWOTH else "its group"
        raise PermissionsError(f"can be changed by {who} (mode {allowed:04o}); run: chmod 600 {_quoted(path)}", source)
    if holds_credentials and allowed & (stat.S_IRGRP | stat.S_IROTH):
        who = "every user" if allowed & stat.S_IROTH else "its group"
        raise PermissionsError(
            f"holds credentials and can be read by {who} (mode {allowed:04o}); run: chmod 600 {_quoted(path)}", source
        )


def _is_shared_on_windows(path: Path, public: str | None) -> bool:
    return bool(public) and Path(public or "").resolve() in path.resolve().parents


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
