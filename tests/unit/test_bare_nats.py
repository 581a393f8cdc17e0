"""nats-py as a plugin imports it: in a fresh interpreter, as everything here has it whole."""

import importlib.metadata
import subprocess
import sys

import pytest

HEAVY = ("nats.js.client", "aiohttp", "importlib.metadata", "email.parser", "zipfile")


def _said(program):
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()


def test_the_start_of_a_plugin_imports_little_of_it():
    program = (
        "import sys, ntp.runner.__main__, ntp.runner.life, ntp.runner.strategy_part\n"
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
        "import aiohttp; aiohttp.ClientSession",
    ],
)
def test_what_a_plugin_asks_for_is_there(use):
    assert _said(f"import ntp.connection\n{use}\nprint('there')") == ["there"]


def test_it_tells_the_broker_its_version():
    said = _said("import ntp.connection, nats.aio.client as it; print(it.__version__)")
    assert said == [importlib.metadata.version("nats-py")]


def test_what_it_imports_may_read_packages_meanwhile(tmp_path):
    # nats-py takes this one where it is installed.
    (tmp_path / "fast_mail_parser.py").write_text(
        "from importlib.metadata import PackageNotFoundError, version\n"
        "print(version('msgspec'), PackageNotFoundError.__name__)\n"
        "def parse_email(_): ...\n"
    )
    start = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    said = _said(f"{start}import ntp.connection, nats.aio.client as it; print(it.__version__)")
    msgspec, nats = map(importlib.metadata.version, ("msgspec", "nats-py"))
    assert said == [msgspec, "PackageNotFoundError", nats]


def test_another_thread_imports_all_of_it_meanwhile(tmp_path):
    (tmp_path / "fast_mail_parser.py").write_text(
        "from threading import Thread\n"
        "def other():\n"
        "    import aiohttp; from importlib.metadata import metadata\n"
        "    print(aiohttp.__name__, metadata('msgspec')['Name'])\n"
        "thread = Thread(target=other); thread.start(); thread.join()\n"
        "def parse_email(_): ...\n"
    )
    start = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    assert _said(f"{start}import ntp.connection") == ["aiohttp", "msgspec"]
