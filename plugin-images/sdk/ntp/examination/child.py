"""The process that runs a plugin: `python -m ntp.examination.child ORDER`, inside a sandbox only.

The answer is a file of the order's folder; what plugins print goes to standard error.
"""

import gc

if __name__ == "__main__":
    gc.disable()  # until all is there: of what is imported nothing is garbage

import asyncio
import os
import sys
from pathlib import Path

import msgspec

from ntp.examination.order import ANSWER, Answer, Order
from ntp.runner.core.objects import ConfigRefusedError
from ntp.runner.ending import EndError


async def answer(order: Order) -> Answer:
    """Return how it went; what stands in the way is in the answer too."""
    try:
        match order.task:
            case "run":
                from ntp.examination.tasks import Task

                return await Task(order).run()
            case "hostile":
                from ntp.examination.hostile import suffer

                return await suffer(order)
            case "listen":
                from ntp.examination.heard import listen

                return await listen(order)
    except ConfigRefusedError as error:
        return Answer(refused=str(error), fix="give a config that it takes: --config NAME=VALUE")
    except EndError as error:
        return Answer(refused=str(error), fix="mend it, and test it again")
    except ValueError as error:
        return Answer(refused=str(error), fix="look at --data")


def main() -> None:
    this = os.getpid()
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    order = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Order)
    gc.freeze()
    gc.enable()
    said = asyncio.run(answer(order))
    if os.getpid() != this:
        os._exit(0)  # the plugin forked, and this is not who was asked
    written = Path(order.folder, f"{ANSWER}.part")
    written.write_bytes(msgspec.json.encode(said))
    written.replace(Path(order.folder, ANSWER))
    sys.stderr.flush()
    os._exit(0)  # threads of the plugin would keep the process


if __name__ == "__main__":
    main()
