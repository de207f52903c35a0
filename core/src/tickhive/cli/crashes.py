"""Shows what nobody catches like everything else the command line writes: without secrets."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType


@contextmanager
def redacted_crashes() -> Iterator[None]:
    """For the length of the block, exceptions that end a thread or a finalizer are printed through the redactor.

    What leaves the block itself is, too, once it ends the process.
    """
    before = threading.excepthook, sys.unraisablehook
    threading.excepthook = _thread_ended
    sys.unraisablehook = _not_raised
    try:
        yield
    except Exception:
        sys.excepthook = _process_ended
        raise
    finally:
        threading.excepthook, sys.unraisablehook = before


def _process_ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _show("", error)


def _thread_ended(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        _show(f"Exception in thread {args.thread.name if args.thread is not None else '(gone)'}:\n", args.exc_value)


def _not_raised(args: sys.UnraisableHookArgs) -> None:
    if args.exc_value is not None:
        _show(f"{args.err_msg or 'Exception ignored'}:\n", args.exc_value)


def _show(headline: str, error: BaseException) -> None:
    # At the very end of a process there may be no stderr any more.
    if sys.stderr is not None:
        from tickhive.redaction import default_redactor

        text = default_redactor.mask(headline + "".join(traceback.format_exception(error)))
        print(text, file=sys.stderr, end="", flush=True)
