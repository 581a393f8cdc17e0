"""What holds for all tests."""

import os
import signal

import pytest

# A shell starts what runs in its background (`make test &`) with Ctrl-C ignored, and every program that a
# test starts, and then ends by SIGINT, would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The machine of a test may have an engine; a test that means Docker says so.
os.environ.setdefault("NTP_RUNTIME", "process")


@pytest.fixture(scope="session")
def engine():
    """A Docker Engine; without one the tests that need it are skipped, or fail with NTP_REQUIRE=docker."""
    from tests.worlds.engine import AbsentEngineError, find
    from tests.worlds.environment import absent

    try:
        found = find()
        found.environment()
    except AbsentEngineError as error:
        absent("docker", str(error))
    yield found
    found.close()
