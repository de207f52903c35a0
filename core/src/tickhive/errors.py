"""Everything tickhive raises on purpose; the class says what the caller can do about it.

::

    TickhiveError
    ├── ConfigurationError      (also ValueError)  mend the configuration; `problems` lists every fault with its path
    │   └── PermissionsError                       mend the file's permissions
    ├── UnknownExchangeError    (also ValueError)  install the package it names
    ├── UnknownSymbolError      (also ValueError)  use a name the venue trades
    ├── PluginError             (also ValueError)  mend or replace one exchange package; the others are untouched
    ├── CollectorError                             the collector's state forbids this call, or it could not start
    │   └── CredentialsError                       the venue refused an account's credentials: mend them, then restart
    ├── ConnectionFailed                           a socket could not be opened; retrying may help
    ├── ConnectionLost                             an open socket ended; the collector dials again by itself
    ├── FetchError                                 a REST request failed; `retryable` says whether asking again may help
    ├── BookNotLive                                the order book is not known to be right now, so it is not served
    ├── RecordingError          (also ValueError)  a recording cannot be read; names file and line
    ├── SpoolError                                 undelivered events cannot be kept on disk
    └── SinkError                                  a store refused a batch; it is offered again
"""

from __future__ import annotations

from collections.abc import Iterable


class TickhiveError(Exception):
    """The root: catching it catches everything tickhive raises on purpose."""


class ConfigurationError(TickhiveError, ValueError):
    """A configuration was refused before anything was created.

    ``problems`` holds every fault found, each a sentence that begins with the path of the field.
    """

    def __init__(self, problems: str | Iterable[str], source: str | None = None) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        self.source = source
        where = f"{source}: " if source else ""
        if len(self.problems) == 1:
            message = f"{where}{self.problems[0]}"
        else:
            listed = "".join(f"\n  - {problem}" for problem in self.problems)
            message = f"{where}{len(self.problems)} problems{listed}"
        super().__init__(message)


class PermissionsError(ConfigurationError):
    """A configuration file can be read or changed by users who should not be able to."""


class UnknownExchangeError(TickhiveError, ValueError):
    """No installed package and no registered class answers to this exchange's name."""

    def __init__(self, exchange: str, installed: Iterable[str], hint: str | None = None) -> None:
        self.exchange = exchange
        self.installed: tuple[str, ...] = tuple(sorted(installed))
        have = ", ".join(self.installed) if self.installed else "none"
        remedy = hint or f"Install the package that brings it: pip install tickhive-{exchange}"
        super().__init__(f"Exchange not supported: {exchange!r}. Installed: {have}. {remedy}")


class UnknownSymbolError(TickhiveError, ValueError):
    """The venue trades nothing by this name."""

    def __init__(self, exchange: str, symbol: str, similar: Iterable[str] = ()) -> None:
        self.exchange = exchange
        self.symbol = symbol
        self.similar: tuple[str, ...] = tuple(similar)
        remedy = f" Did you mean {', '.join(self.similar)}?" if self.similar else ""
        super().__init__(f"{exchange} lists no instrument named {symbol!r}.{remedy}")


class PluginError(TickhiveError, ValueError):
    """One exchange package cannot be used; every other exchange is untouched."""

    def __init__(
        self, exchange: str, cause: str, remedy: str, *, distribution: str | None = None, version: str | None = None
    ) -> None:
        self.exchange = exchange
        self.cause = cause
        self.remedy = remedy
        self.distribution = distribution
        self.version = version
        package = f"{distribution} {version or '(unknown version)'}" if distribution else "no installed distribution"
        super().__init__(f"Exchange plugin {exchange!r} ({package}): {cause}. {remedy}")


class CollectorError(TickhiveError):
    """A collector cannot do what was asked in the state it is in."""


class CredentialsError(CollectorError):
    """The venue refused an account's credentials, or wants some: trying again with the same ones cannot help."""

    def __init__(self, account: str | None, reason: str) -> None:
        self.account = account
        self.reason = reason
        if account is None:
            super().__init__(f"{reason}. Name an account and its credentials, then restart the collector")
        else:
            super().__init__(f"account {account!r}: {reason}. Mend its credentials, then restart the collector")


class ConnectionFailed(TickhiveError):
    """A socket could not be opened.

    ``status`` is the HTTP status when the server answered the handshake with one, ``retry_after`` the
    seconds it asked to wait, ``fatal`` true when asking again the same way cannot help.
    """

    def __init__(
        self, message: str, *, status: int | None = None, retry_after: float | None = None, fatal: bool = False
    ) -> None:
        self.status = status
        self.retry_after = retry_after
        self.fatal = fatal
        super().__init__(message)


class ConnectionLost(TickhiveError):
    """An open socket ended. ``code`` is the WebSocket close code, None when the line went dead without one."""

    def __init__(self, message: str, *, code: int | None = None) -> None:
        self.code = code
        super().__init__(message)


class FetchError(TickhiveError):
    """A REST request failed. ``retryable`` says whether asking again may help, ``retry_after`` when (seconds).

    ``unauthorised``: the venue does not accept who signed it.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retryable: bool = True,
        retry_after: float | None = None,
        unauthorised: bool = False,
    ) -> None:
        self.status = status
        self.retryable = retryable
        self.retry_after = retry_after
        self.unauthorised = unauthorised
        super().__init__(message)


class BookNotLive(TickhiveError):
    """The book of this symbol is not known to be right at this moment, so it is not served."""

    def __init__(self, exchange: str, symbol: str, state: str) -> None:
        self.exchange = exchange
        self.symbol = symbol
        self.state = state
        super().__init__(f"The {exchange} book of {symbol} is {state}, not live; wait for its next snapshot")


class RecordingError(TickhiveError, ValueError):
    """A recording cannot be read or written; the message names the file, and the line and what was seen there."""


class SpoolError(TickhiveError):
    """Undelivered events cannot be kept on disk."""


class SinkError(TickhiveError):
    """A store refused a batch. Nothing is lost: the batch stays in the spool and is offered again."""
