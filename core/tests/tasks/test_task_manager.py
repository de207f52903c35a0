"""Every task has an owner that ends it, and none of its errors is lost."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tickhive.tasks import AsyncTaskManager
from tickhive.testing import capture_logs


async def forever() -> None:
    await asyncio.Event().wait()


async def fail(message: str) -> None:
    await asyncio.sleep(0)
    raise RuntimeError(message)


async def test_a_task_that_ends_leaves_by_itself() -> None:
    manager = AsyncTaskManager()
    task = manager.add_task("short", asyncio.sleep(0, "result"))
    assert "short" in manager
    assert await task == "result"
    await asyncio.sleep(0)
    assert len(manager) == 0
    assert manager.status()["started"] == 1
    assert manager.status()["failed"] == 0


async def test_a_living_name_is_taken() -> None:
    manager = AsyncTaskManager("collector")
    manager.add_task("reader", forever())
    with pytest.raises(ValueError, match="collector: a task named 'reader' is still running"):
        manager.add_task("reader", forever())
    assert manager.remove_task("reader")
    assert not manager.remove_task("reader")
    manager.add_task("reader", forever())
    assert manager.status()["leaving"] == ["reader"]
    assert await manager.cancel_all_tasks() == ()
    assert len(manager) == 0


async def test_an_error_is_recorded_reported_and_logged_without_secrets() -> None:
    manager = AsyncTaskManager("collector")
    errors: list[BaseException] = []
    with capture_logs() as logs:
        manager.add_task("bad", fail("login with password=hunter2 refused"), on_error=errors.append)
        assert await manager.wait_for_all_tasks(5) == ()
        await asyncio.sleep(0)
    assert [type(error) for error in errors] == [RuntimeError]
    [failure] = manager.status()["failures"]
    assert failure["name"] == "bad"
    assert failure["error"].startswith("RuntimeError: login")
    [log] = logs
    assert log["log_level"] == "debug"  # its handler was told
    assert (log["owner"], log["task"]) == ("collector", "bad")
    assert "hunter2" not in str(log) + str(manager.status())


async def test_an_error_handler_that_fails_is_logged_and_harms_nothing() -> None:
    manager = AsyncTaskManager()

    def handler(error: BaseException) -> None:
        raise KeyError("worse")

    with capture_logs() as logs:
        manager.add_task("bad", fail("first"), on_error=handler)
        manager.add_task("good", asyncio.sleep(0))
        await manager.wait_for_all_tasks(5)
        await asyncio.sleep(0)
    assert [log["event"] for log in logs] == ["task failed", "the error handler of a task failed"]


async def test_failures_kept_are_bounded() -> None:
    manager = AsyncTaskManager()
    with capture_logs():
        for number in range(150):
            manager.add_task(f"bad {number}", fail(str(number)))
        await manager.wait_for_all_tasks(5)
        await asyncio.sleep(0)
    assert manager.status()["failed"] == 150
    assert len(manager.status()["failures"]) == 100


async def test_children_added_while_cancelling_are_cancelled_too() -> None:
    manager = AsyncTaskManager()
    ended: list[str] = []

    async def parent(generation: int) -> None:
        try:
            await forever()
        finally:
            ended.append(f"parent {generation}")
            if generation < 3:
                manager.add_task(f"child {generation}", parent(generation + 1))
                await asyncio.sleep(0)

    manager.add_task("root", parent(0))
    await asyncio.sleep(0)
    assert await manager.cancel_all_tasks(5) == ()
    assert len(manager) == 0
    assert ended == ["parent 0"]  # the child was cancelled before its first step
    assert manager.status()["started"] == 2
    await manager.add_task("afterwards", asyncio.sleep(0))


async def test_a_task_that_does_not_end_is_named_and_stays_owned() -> None:
    manager = AsyncTaskManager()
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()

    manager.add_task("stubborn", stubborn())
    manager.add_task("gentle", forever())
    await asyncio.sleep(0)
    with capture_logs() as logs:
        assert await manager.cancel_all_tasks(timeout_seconds=0.05) == ("stubborn",)
    assert logs[0]["tasks"] == ["stubborn"]
    assert list(manager.status()["running"]) == ["stubborn"]
    release.set()
    assert await manager.wait_for_all_tasks(5) == ()


async def test_a_task_may_cancel_all_the_others() -> None:
    manager = AsyncTaskManager()
    manager.add_task("other", forever())

    async def stop() -> tuple[str, ...]:
        return await manager.cancel_all_tasks(5)

    assert await manager.add_task("stopper", stop()) == ()


async def test_waiting_has_a_bound() -> None:
    manager = AsyncTaskManager()
    manager.add_task("long", forever())
    assert await manager.wait_for_all_tasks(0.01) == ("long",)
    await manager.cancel_all_tasks()


async def test_cancelling_may_itself_be_cancelled() -> None:
    manager = AsyncTaskManager()
    release = asyncio.Event()

    async def slow() -> None:
        try:
            await forever()
        finally:
            await release.wait()

    task = manager.add_task("slow", slow())
    await asyncio.sleep(0)
    stopping = asyncio.create_task(manager.cancel_all_tasks())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert not task.done()
    release.set()
    assert await manager.cancel_all_tasks(5) == ()
    assert task.cancelled()


async def test_an_error_nobody_is_told_of_is_logged_as_one() -> None:
    manager = AsyncTaskManager()
    with capture_logs() as logs:
        manager.add_task("bad", fail("first"))
        await manager.wait_for_all_tasks(5)
    assert [(log["event"], log["log_level"]) for log in logs] == [("task failed", "error")]
