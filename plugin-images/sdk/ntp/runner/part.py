"""What all kinds of plugins do in a runner, each in its own way."""

from collections.abc import Iterable
from typing import Protocol

from ntp.connection import Link
from ntp.plugin import BasePlugin
from ntp.runner.beats import Figures


class Part(Protocol):
    """The order of calls: prepare, start, listen, run, stop (while it runs), drain."""

    def prepare(self) -> None:
        """Make the first objects, so that a config that cannot work is known at once."""

    async def start(self, link: Link) -> None:
        """Take up what the last life left, and initialize them."""

    async def listen(self) -> None:
        """Subscribe, so that everything sent from now on is heard, and catch up with what was before."""

    async def run(self) -> None:
        """Work until `stop`."""

    def stop(self) -> None:
        """Have `run` return once what is under way is done."""

    async def drain(self) -> None:
        """After `run`: finish what waits, and see everything sent that follows from it."""

    def exhausted(self) -> bool:
        """All that will ever come has come, and everything that follows from it was sent."""

    def figures(self) -> Figures: ...

    def busy(self) -> Iterable[tuple[str, float]]:
        """The async callbacks that run, and since when (monotonic)."""

    def objects(self) -> Iterable[BasePlugin]: ...
