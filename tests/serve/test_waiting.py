"""How images become batches."""

import asyncio
import time

from ocrexp.serve.jobs import Job
from ocrexp.serve.waiting import Ticket, WaitingLine


def ticket(number):
    return Ticket(Job(number, "ocr", "", b""), time.monotonic() + 60, asyncio.get_running_loop().create_future())


def numbers(batch):
    return [each.job.number for each in batch]


def test_images_that_wait_are_one_batch_up_to_the_largest():
    async def main():
        line = WaitingLine(most=3, wait=30)
        for number in range(5):
            line.put(ticket(number))
        return numbers(await line.take()), len(line)

    assert asyncio.run(main()) == ([0, 1, 2], 2)


def test_an_image_waits_for_others_and_no_longer_than_it_should():
    async def main():
        line = WaitingLine(most=8, wait=0.1)
        taking = asyncio.ensure_future(line.take())
        line.put(ticket(1))
        await asyncio.sleep(0.02)
        line.put(ticket(2))
        began = time.monotonic()
        return numbers(await taking), time.monotonic() - began

    batch, seconds = asyncio.run(main())
    assert batch == [1, 2]
    assert 0.02 < seconds < 5


def test_idle_workers_share_what_waits():
    async def main():
        line = WaitingLine(most=8, wait=0.05)
        both = [asyncio.ensure_future(line.take()) for _ in range(2)]
        await asyncio.sleep(0)
        for number in range(4):
            line.put(ticket(number))
        return [numbers(await taking) for taking in both]

    assert sorted(asyncio.run(main())) == [[0, 1], [2, 3]]


def test_an_image_whose_worker_was_lost_is_next_and_alone():
    async def main():
        line = WaitingLine(most=8, wait=0)
        suspect = ticket(7)
        line.put(ticket(1))
        line.put_back(suspect)
        return numbers(await line.take()), numbers(await line.take())

    assert asyncio.run(main()) == ([7], [1])


def test_an_image_that_nobody_waits_for_is_not_read():
    async def main():
        line = WaitingLine(most=8, wait=0)
        gone = ticket(1)
        line.put(gone)
        line.put(ticket(2))
        return line.remove(gone), line.remove(gone), numbers(await line.take())

    assert asyncio.run(main()) == (True, False, [2])
