"""What a plugin requires is installed for its test as for live: by hash, once, from its lock."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.worlds.shelf import Shelf

CODE = """
import demo_lib
from ntp import StrategyPlugin, TradingSignal

class Mine(StrategyPlugin):
    def analyze(self, data, history):
        if len(history) % demo_lib.EVERY == 0:
            return TradingSignal(data.symbol, "BUY", 1.0, data.price)
"""
MANIFEST = """\
name: my_strategy
version: 0.1.0
kind: strategy
entrypoint: my_strategy:Mine
requirements: [demo-lib>=1]
"""
TEST = ("plugin", "test", "my_strategy")


@pytest.fixture
def author(tmp_path):
    class Author:
        def __init__(self):
            self.folder = tmp_path / "my_strategy"
            self.shelf = Shelf(tmp_path / "shelf")
            ours = ("NTP_", "PIP_")
            self.environment = {
                **{name: text for name, text in os.environ.items() if name[:4] not in ours},
                **self.shelf.pip.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "NTP_CACHE": str(tmp_path / "cache"),
            }

        def ntp(self, *words, code=0):
            done = subprocess.run(
                [sys.executable, "-m", "ntp.cli", *words], cwd=tmp_path, env=self.environment,
                capture_output=True, text=True, timeout=100,
            )  # fmt: skip
            assert done.returncode == code, done.stdout + done.stderr
            assert "Traceback" not in done.stderr
            return done

    made = Author()
    made.folder.mkdir()
    (made.folder / "my_strategy.py").write_text(CODE)
    (made.folder / "plugin.yaml").write_text(MANIFEST)
    rows = [f"2024-08-08T00:{i // 60:02}:{i % 60:02}Z,BTC,{100 + i % 7},1" for i in range(300)]
    (made.folder / "sample_data.csv").write_text(
        "\n".join(["timestamp,symbol,price,volume", *rows]) + "\n"
    )
    made.shelf.wheel("demo_lib", "1.2.0", {"demo_lib.py": "EVERY = 10\n"})
    return made


def test_it_is_installed_once_and_then_no_registry_is_asked(author):
    told = author.ntp(*TEST)
    lock = author.folder / "requirements.lock"
    assert "my_strategy: Installing collected packages: demo-lib" in told.stderr
    assert "wrote my_strategy/requirements.lock: keep it with the plugin" in told.stderr
    assert "demo-lib==1.2.0 --hash=sha256:" in lock.read_text()
    assert "signals" in told.stdout
    (made,) = (each for each in author.folder.parent.glob("cache/env/*/site/demo_lib.py"))
    assert made.stat().st_mode & 0o777 == 0o444
    assert list(made.parent.glob("__pycache__/demo_lib.*.pyc"))
    # A newer one, and then none at all: the lock says which, and that is here.
    author.shelf.wheel("demo_lib", "2.0.0", {"demo_lib.py": "raise ImportError\n"})
    assert "Installing" not in author.ntp(*TEST, "--quick").stderr
    shutil.rmtree(author.shelf.folder)
    assert "Installing" not in author.ntp(*TEST, "--quick").stderr


def test_what_its_wheels_bring_is_known_to_validate(author):
    """Nothing is installed for it: what a test has left is looked at."""
    author.shelf.wheel("demo_lib", "1.3.0", {"demo_lib.py": "EVERY = 10\n", "oddly_named.py": ""})
    code = author.folder / "my_strategy.py"
    code.write_text(f"import oddly_named\n{CODE}")
    told = author.ntp("plugin", "validate", "my_strategy").stdout
    assert "warning: imports 'oddly_named', which nothing in `requirements` is called" in told
    author.ntp(*TEST, "--quick")
    told = author.ntp("plugin", "validate", "my_strategy", "--offline").stdout
    assert "[import]" not in told
    assert "[lock]" not in told
    code.write_text(f"import oddly_named\nimport strange\n{CODE}")
    told = author.ntp("plugin", "validate", "my_strategy", "--offline", code=2).stdout
    assert "error: imports 'strange', which none of its requirements brings" in told


def test_a_lone_file_names_what_it_requires_itself(author):
    code = '# /// script\n# dependencies = ["demo-lib"]\n# ///\n' + CODE
    (author.folder.parent / "alone.py").write_text(code)
    data = str(author.folder / "sample_data.csv")
    told = author.ntp("plugin", "test", "alone.py", "--data", data, "--quick")
    assert "wrote alone.lock: keep it with the plugin" in told.stderr


def test_what_its_indicators_require_is_there_too(author):
    other = author.folder.parent / "fast"
    other.mkdir()
    (other / "plugin.yaml").write_text(
        "name: fast\nversion: 0.1.0\nkind: indicator\nentrypoint: fast:Fast\nrequirements: [other-lib]\n"
    )
    (other / "fast.py").write_text(
        "import other_lib\nfrom ntp import IndicatorPlugin\n\nclass Fast(IndicatorPlugin):\n"
        "    def update(self, data):\n        return other_lib.VALUE\n"
    )
    author.shelf.wheel("other_lib", "1.0", {"other_lib.py": "VALUE = 7.0\n"})
    author.ntp(*TEST, "--indicator", "fast=fast", "--quick")


def test_what_nobody_has_is_named_with_what_to_do(author):
    text = MANIFEST.replace("demo-lib>=1", "demo-lib, ntp-has-no-such>=3")
    (author.folder / "plugin.yaml").write_text(text)
    told = author.ntp(*TEST, code=5).stderr
    assert "error: my_strategy needs demo-lib, ntp-has-no-such>=3: " in told
    assert "No matching distribution found for ntp-has-no-such>=3" in told
    assert (
        "\n  fix: correct the requirement (only wheels are installed), or set PIP_INDEX_URL" in told
    )
    assert not (author.folder / "requirements.lock").exists()


def test_without_a_network_it_says_so(author):
    author.environment |= {"PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
    del author.environment["PIP_NO_INDEX"], author.environment["PIP_FIND_LINKS"]
    told = author.ntp(*TEST, code=3).stderr
    assert "error: my_strategy needs demo-lib>=1: no package registry answered" in told
    assert "\n  fix: connect, or set PIP_INDEX_URL or PIP_FIND_LINKS" in told


def test_a_lock_that_is_none_is_told_and_left_alone(author):
    lock = author.folder / "requirements.lock"
    lock.write_text("what?\n")
    told = author.ntp(*TEST, code=5).stderr
    assert "my_strategy/requirements.lock cannot be used: " in told
    assert "\n  fix: delete it, and run this again: that makes a new one" in told
    assert lock.read_text() == "what?\n"


def test_a_wheel_with_other_bytes_than_the_lock_has_is_refused(author):
    author.ntp(*TEST, "--quick")
    shutil.rmtree(author.folder.parent / "cache" / "env")
    author.shelf.wheel("demo_lib", "1.2.0", {"demo_lib.py": "EVERY = 11\n"})
    told = author.ntp(*TEST, code=5).stderr
    assert "find out why, then delete the lock" in told
