"""asyncpg, as docs/connecting.md shows it."""

import asyncio
import os
import sys

import asyncpg

from common import LIMIT_S, RETURNING, Task, read_task, tell_ack, tell_error

INSERT = f"INSERT INTO ledger (id, round, payload) VALUES ($1, 0, 'asyncpg') {RETURNING}"


async def in_time(work):
    """Give up after the limit without waiting for the driver's own cancellation, which asks the same host."""
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=LIMIT_S)
    if not done:
        task.add_done_callback(lambda task: task.cancelled() or task.exception())
        task.cancel()
        raise TimeoutError("no answer in time")
    return task.result()


async def connect(task: Task) -> asyncpg.Connection:
    """The host that takes writes: one after the other, for asyncpg's own limit is of all together."""
    error: BaseException = OSError("no host takes writes")
    for host, port in task.hosts:
        try:
            found = await in_time(
                asyncpg.connect(host=host, port=port, user=task.user, password=task.password, database=task.database)
            )
            if not await in_time(found.fetchval("SELECT pg_is_in_recovery()")):
                return found
            await in_time(found.close())
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as caught:
            error = caught
    raise error


async def write(take, task: Task, number: int) -> None:
    connection = None
    while True:
        number += 1
        try:
            connection = connection or await take()
            row = await in_time(connection.fetchrow(INSERT, number))
            tell_ack(number, tuple(row))
        # InternalClientError, without an SQLSTATE, for a session that ended while it was idle.
        except Exception as error:  # noqa: BLE001
            tell_error(error)
            if connection is not None:
                connection.terminate()
            connection = None
            await asyncio.sleep(0.1)


async def main(task: Task) -> None:
    loop = asyncio.get_running_loop()

    async def take() -> asyncpg.Connection:
        return await connect(task)

    for number in range(task.writers):
        loop.create_task(write(take, task, task.first_id + number * 10**8))
    await loop.run_in_executor(None, sys.stdin.read)
    os._exit(0)


asyncio.run(main(read_task()))
