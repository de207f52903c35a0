"""Where an account's secrets come from: the environment, files or a keyring; read late, and never shown.

``Account`` is an ``[accounts.NAME]`` table: it says where to look and holds no secret itself, unless the user insists.
``load_credentials`` looks there whenever a collector starts, so that mended credentials need no more than a restart.
"""

from __future__ import annotations

import importlib
import os
import re
import shlex
import stat
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from attrs import define, field

from tickhive.errors import ConfigurationError, PermissionsError
from tickhive.plugin.contract import Credentials
from tickhive.redaction import add_secret
from tickhive.structuring import structure

FIELDS = ("key", "secret", "passphrase")
REQUIRED = ("key", "secret")
LARGEST_BYTES = 64 * 1024


@define(kw_only=True)
class Account:
    """``[accounts.NAME]``: the exchange an account is at, and one source for each of its secrets.

    ``key_env`` names an environment variable, ``key_file`` a file that holds nothing but the value; likewise for the
    secret and the passphrase. What has no such source comes from ``file``, a TOML file with ``key``, ``secret`` and
    ``passphrase``, or from ``keyring``, the name of a service in the system's keyring whose users are called so.
    ``key`` and the like in clear are refused unless ``allow_clear_text`` is set.
    """

    exchange: str
    file: Path | None = None
    keyring: str | None = None
    key_env: str | None = None
    key_file: Path | None = None
    secret_env: str | None = None
    secret_file: Path | None = None
    passphrase_env: str | None = None
    passphrase_file: Path | None = None
    allow_clear_text: bool = False
    key: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be an account: no exchange, no source or more than one, secrets in clear by accident."""
        if problems := [*self._problems()]:
            raise ConfigurationError(problems)

    def sources(self, name: str) -> list[str]:
        """Which of its fields say where ``key``, ``secret`` or ``passphrase`` comes from."""
        return [source for source in (f"{name}_env", f"{name}_file", name) if getattr(self, source) is not None]

    def _problems(self) -> list[str]:
        problems = [] if self.exchange.strip() else ["exchange: must not be empty"]
        shared = [name for name in ("file", "keyring") if getattr(self, name) is not None]
        if len(shared) > 1:
            problems.append("file and keyring are both given; keep one of them")
        for name in FIELDS:
            sources = self.sources(name)
            if len(sources) > 1:
                problems.append(f"{' and '.join(sources)} are both given; keep one of them")
            if not sources and not shared and name in REQUIRED:
                problems.append(
                    f"nothing says where the {name} comes from; give {name}_env, {name}_file, file or keyring"
                )
            if getattr(self, name) is not None and not self.allow_clear_text:
                problems.append(
                    f"the {name} stands here in clear; give {name}_env, {name}_file, file or keyring instead, or set "
                    "allow_clear_text = true if it has to be"
                )
            if getattr(self, f"{name}_env") == "":
                problems.append(f"{name}_env: expected the name of an environment variable, got empty text")
        if self.keyring == "":
            problems.append("keyring: expected the name of a service, got empty text")
        return problems


CredentialSource: TypeAlias = Credentials | Callable[[], Credentials]
"""An account's secrets, or what fetches them: it is asked whenever a collector starts, in a thread of its own."""


def obtain(source: CredentialSource) -> Credentials:
    """The credentials a source gives now; from here on nothing that tickhive logs or shows holds them."""
    found = source if isinstance(source, Credentials) else source()
    if not isinstance(found, Credentials):
        raise ConfigurationError(f"credentials: expected Credentials, got {type(found).__name__}")
    for value in (found.key, found.secret, found.passphrase):
        hide(value)
    return found


def load_credentials(
    name: str, account: Account, environment: Mapping[str, str] | None = None, source: str | None = None
) -> Credentials:
    """Look up an account's secrets now.

    ConfigurationError (PermissionsError when only a file's rights are at fault) lists everything that is wrong by
    account, field and source, never by value. ``source`` names the file the account is configured in.
    """
    given = os.environ if environment is None else environment
    search = _Search(f"accounts.{name}", account, given)
    found = {each: search.find(each) for each in FIELDS}
    if search.problems:
        raise (PermissionsError if search.only_rights else ConfigurationError)(search.problems, source)
    return Credentials(name, **found)


def structure_account(table: Any, path: str) -> Account:
    """Make an Account of a plain table; ConfigurationError lists what is wrong with it, without any value."""
    return structure(Account, table, path)


class _Unavailable(Exception):
    """A source does not give what it should: why, and whether only a file's rights are at fault."""

    def __init__(self, why: str, *, rights: bool = False) -> None:
        super().__init__(why)
        self.rights = rights


class _Search:
    """One look through an account's sources; what is wrong is noted and the rest looked up all the same."""

    def __init__(self, path: str, account: Account, environment: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self.only_rights = True
        self._path = path
        self._account = account
        self._environment = environment
        self._shared: Mapping[str, str] | None = {}
        if account.file is not None:
            try:
                self._shared = _read_table(account.file)
            except _Unavailable as error:
                self._shared = None
                self._note(error)

    def find(self, name: str) -> str:
        """The value of a field; "" where there is none, which is noted when there must be one."""
        try:
            where, value = self._look_up(name)
            if value is None:
                if name in REQUIRED and where:
                    raise _Unavailable(f"{where} holds no {name}")
                return ""
            value = value.strip()
            if not value:
                raise _Unavailable(f"{where}, which is to hold the {name}, is empty")
        except _Unavailable as error:
            self._note(error)
            return ""
        hide(value)
        return value

    def _look_up(self, name: str) -> tuple[str, str | None]:
        """Where a field comes from, and what stands there; no place where its problem is known already."""
        account = self._account
        variable: str | None = getattr(account, f"{name}_env")
        file: Path | None = getattr(account, f"{name}_file")
        own = account.sources(name)
        if own and name in (self._shared or ()):
            raise _Unavailable(f"the file {account.file} holds the {name}, and {own[0]} is given too; keep one of them")
        if variable is not None:
            where = f"the environment variable {variable}"
            if variable not in self._environment:
                raise _Unavailable(f"{where}, which is to hold the {name}, is not set")
            return where, self._environment[variable]
        if file is not None:
            return f"the file {file}", _read_file(file, name)
        if own:
            return "the configuration", getattr(account, name)
        if account.keyring is not None:
            return f"the keyring's service {account.keyring!r}", _ask_keyring(account.keyring, name)
        if self._shared is None:
            return "", None
        return f"the file {account.file}", self._shared.get(name)

    def _note(self, error: _Unavailable) -> None:
        text = f"{self._path}: {error}"
        if text not in self.problems:
            self.problems.append(text)
            self.only_rights &= error.rights


def hide(secret: str) -> None:
    """Never let a secret, nor any line of it, out of the process again."""
    add_secret(secret)
    for line in secret.splitlines():
        # The armour of a key is none, and what tells one we were not told of.
        if not line.startswith("-----"):
            add_secret(line.strip())


def _read_table(path: Path) -> Mapping[str, str]:
    text = _read_file(path, "credentials")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # Only where: the parser's own words may quote the file.
        place = re.search(r"at line \d+, column \d+", str(error))
        raise _Unavailable(f"the file {path} is not valid TOML{f' ({place[0]})' if place else ''}") from None
    except (ValueError, RecursionError):
        raise _Unavailable(f"the file {path} is not valid TOML") from None
    if not all(isinstance(value, str) and key in FIELDS for key, value in table.items()):
        raise _Unavailable(f"the file {path} may hold {', '.join(FIELDS)}, each a text, and nothing else")
    return table


def _read_file(path: Path, what: str) -> str:
    """The text of a file that is nobody else's business."""
    where = f"the file {path}, which is to hold the {what},"
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise _Unavailable(f"{where} is no regular file")
        with path.open("rb") as file:
            # Asked of the open file: its name may mean another one by now.
            if (wrong := _rights_problem(os.fstat(file.fileno()), path)) is not None:
                raise _Unavailable(f"{where} {wrong}", rights=True)
            content = file.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise _Unavailable(f"{where} does not exist") from None
    except PermissionError:
        raise _Unavailable(f"{where} cannot be read by this user", rights=True) from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        raise _Unavailable(f"{where} cannot be read ({reason})") from None
    if len(content) > LARGEST_BYTES:
        raise _Unavailable(f"{where} is longer than {LARGEST_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _Unavailable(f"{where} is not UTF-8 text") from None


def _ask_keyring(service: str, name: str) -> str | None:
    try:
        keyring = importlib.import_module("keyring")
    except ImportError:
        raise _Unavailable(
            "a keyring takes the package keyring, which is not installed; pip install 'tickhive[keyring]'"
        ) from None
    try:
        value: str | None = keyring.get_password(service, name)
    except Exception as error:
        # Its words come from whatever backend there is.
        why = f"the keyring could not be asked for the {name} of {service!r} ({type(error).__name__})"
        raise _Unavailable(why) from None
    return value


def _rights_problem(found: os.stat_result, path: Path) -> str | None:
    """Why a file is no place for a secret: others may read or change it, or another user owns it.

    Windows keeps rights in access control lists, which the mode does not show: nothing is checked there.
    """
    if os.name == "nt":
        return None
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        return f"can be used by others than its owner (mode {mode:04o}); run: chmod 600 {shlex.quote(str(path))}"
    me = os.geteuid()
    # What belongs to root is beyond everybody's reach but root's, who reads everything anyway.
    if found.st_uid not in (me, 0):
        return f"belongs to another user (id {found.st_uid}, not {me}); run: chown {me} {shlex.quote(str(path))}"
    return None
