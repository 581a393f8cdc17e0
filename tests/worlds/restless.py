"""A simulated copy of a cluster in which something changes all the time."""

import asyncio
import contextlib


class Restless:
    """Whoever listens is woken at once, each time."""

    @contextlib.contextmanager
    def listening(self, _name=""):
        always = asyncio.Event()
        always.clear = lambda: None
        always.set()
        yield always
