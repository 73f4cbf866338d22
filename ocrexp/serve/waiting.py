"""The images that wait for a worker, in the order of their arrival, and how they become batches."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from dataclasses import dataclass, field

from ocrexp.serve.jobs import Done, Job


@dataclass(eq=False)
class Ticket:
    """A job, when it arrived and when its time is up (by `time.monotonic`), and who waits for it."""

    job: Job
    until: float
    answer: asyncio.Future[Done]
    arrived: float = field(default_factory=time.monotonic)
    alone: bool = False  # its last worker has ended: it is not read with others again


class WaitingLine:
    """First come, first served.

    Args:
        most: largest batch.
        wait: seconds that the first image waits for others.
    """

    def __init__(self, most: int, wait: float) -> None:
        self._most = most
        self._wait = wait
        self._tickets: deque[Ticket] = deque()
        self._arrived = asyncio.Event()
        self._idle = 0

    def __len__(self) -> int:
        return len(self._tickets)

    def put(self, ticket: Ticket) -> None:
        self._tickets.append(ticket)
        self._arrived.set()

    def put_back(self, ticket: Ticket) -> None:
        """A ticket whose worker has ended: the next to be read, alone."""
        ticket.alone = True
        self._tickets.appendleft(ticket)
        self._arrived.set()

    def remove(self, ticket: Ticket) -> bool:
        """Whether it was still waiting."""
        with contextlib.suppress(ValueError):
            self._tickets.remove(ticket)
            return True
        return False

    async def take(self) -> list[Ticket]:
        """The next batch for a worker that is idle.

        Idle workers share what waits, so that two images that arrive together are read at the same time by two idle
        workers; with one idle worker they are one batch.
        """
        self._idle += 1
        try:
            while True:
                if not self._tickets:
                    await self._change(None)
                    continue
                left = self._tickets[0].arrived + self._wait - time.monotonic()
                if left <= 0 or self._tickets[0].alone or len(self._tickets) >= self._most * self._idle:
                    return self._batch()
                await self._change(left)
        finally:
            self._idle -= 1

    async def _change(self, seconds: float | None) -> None:
        self._arrived.clear()
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(self._arrived.wait(), seconds)

    def _batch(self) -> list[Ticket]:
        if self._tickets[0].alone:
            return [self._tickets.popleft()]
        share = min(self._most, -(-len(self._tickets) // self._idle))
        batch: list[Ticket] = []
        while self._tickets and len(batch) < share and not self._tickets[0].alone:
            batch.append(self._tickets.popleft())
        return batch
