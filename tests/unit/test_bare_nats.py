"""nats-py as a plugin imports it: in a fresh interpreter, as everything here has it whole."""

import importlib.metadata
import subprocess
import sys

import pytest

HEAVY = ("nats.js.client", "importlib.metadata", "email.parser", "zipfile")


def _said(program):
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()


def test_the_start_of_a_plugin_imports_little_of_it():
    # Where aiohttp is installed, nats-py imports it, and that all of these: in a plugin's image it is not.
    program = (
        "import sys; sys.modules['aiohttp'] = None\n"
        "import ntp.runner.__main__, ntp.runner.life, ntp.runner.strategy_part\n"
        f"print(*sorted(set(sys.modules) & {set(HEAVY)}))"
    )
    assert _said(program) == []


@pytest.mark.parametrize(
    "use",
    [
        "from nats.js import JetStreamContext",
        "from nats.js.api import StreamConfig",
        "import nats; nats.js.api.Header.STATUS; nats.js.errors.NotFoundError",
        "from importlib.metadata import metadata; metadata('nats-py')",
    ],
)
def test_what_a_plugin_asks_for_is_there(use):
    assert _said(f"import ntp.connection\n{use}\nprint('there')") == ["there"]


def test_it_tells_the_broker_its_version():
    said = _said("import ntp.connection, nats.aio.client as it; print(it.__version__)")
    assert said == [importlib.metadata.version("nats-py")]
