from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.worlds.local_exchange import Running, exchange


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Start `ntp exchange` with options; it is ended with the test."""
    with ExitStack() as started:
        yield lambda *options: started.enter_context(exchange(*options))
