"""Which way a callback is served, by what it is: function or coroutine function, taking events or lists."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Any

from tickhive.channels import DataType
from tickhive.collector.queues import AsyncSubscriber
from tickhive.collector.subscribers import BatchSubscriber, DirectSubscriber, Subscriber
from tickhive.tasks import AsyncTaskManager


def subscriber_for(
    data_type: DataType | None,
    callback: Callable[[Any], Any],
    batch: bool | None,
    tasks: AsyncTaskManager,
    owner: str,
    queue_events: int,
) -> Subscriber:
    """Choose how a callback is served, by what it is: function or coroutine function, taking events or lists."""
    if not callable(callback):
        raise TypeError(f"{owner}: a callback must be callable, got {callback!r}")
    data_types = frozenset() if data_type is None else frozenset((DataType(data_type),))
    takes_list = _takes_list(callback) if batch is None else batch
    if _is_async(callback):
        return AsyncSubscriber(data_types, callback, takes_list, tasks, owner, queue_events)
    return BatchSubscriber(data_types, callback) if takes_list else DirectSubscriber(data_types, callback)


def _is_async(callback: Callable[[Any], Any]) -> bool:
    while isinstance(callback, functools.partial):
        callback = callback.func
    return inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(getattr(callback, "__call__", None))  # noqa: B004


def _takes_list(callback: Callable[[Any], Any]) -> bool:
    """Whether the first parameter is annotated as a list or sequence."""
    try:
        first = next(iter(inspect.signature(callback, eval_str=True).parameters.values()))
    except (StopIteration, TypeError, ValueError, NameError):
        return False
    kind = typing.get_origin(first.annotation) or first.annotation
    return inspect.isclass(kind) and issubclass(kind, Sequence) and not issubclass(kind, str | bytes)
