"""A host that is going to be killed: starts a zygote and two workers, prints their pids, and waits."""

import asyncio
import sys
import time

from carriers import FramedClient, call
from zygote_host import ZygoteHost


async def main(mode: str) -> None:
    host = ZygoteHost()
    host.ready()
    workers = [host.fork(f"w{number}") for number in range(2)]
    for worker in workers:
        client = await FramedClient.connect(worker)
        if mode == "stuck":
            await (await call(client, "stuck")).expect("event")
            # The worker goes into the regular expression a moment after it said so.
            await asyncio.sleep(0.2)
        else:
            await client.hello()
    print(host.process.pid, *(worker.pid for worker in workers), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
    time.sleep(600)
