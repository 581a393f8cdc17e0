"""A plugin that cannot start says why, in words that a person can act on, and whether to try again."""

import json
from pathlib import Path

import pytest

from ntp.contract.launch import LAUNCH_FILE
from ntp.contract.names import Kind
from tests.integration.runner.test_runner_flow import SOURCE

STRATEGY = """
    from ntp import StrategyPlugin

    class Plugin(StrategyPlugin):
        def analyze(self, data, history):
            return None
"""


INDICATOR = """
    from ntp import IndicatorPlugin

    class Plugin(IndicatorPlugin):
        def update(self, data):
            return data.price
"""


def with_method(text: str, imports: str = "") -> str:
    lines = ["", f"    {imports}" if imports else "", *STRATEGY.splitlines()[1:]]
    return "\n".join([*lines, *(f"        {line}" for line in text.splitlines())])


@pytest.mark.parametrize(
    ("code", "reason", "words", "permanent"),
    [
        (
            with_method("def validate_config(self):\n    return False"),
            "ConfigRefused",
            "validate_config() returned False",
            True,
        ),
        (
            with_method("def validate_config(self):\n    raise ValueError('period was -1')"),
            "ConfigRefused",
            "validate_config() raised ValueError: period was -1 (written.py:9)",
            True,
        ),
        (
            with_method("def __init__(self, config):\n    self.period = config['period']"),
            "ConfigRefused",
            "its constructor raised KeyError: 'period'",
            True,
        ),
        (
            with_method("pass", imports="import pandas_of_the_future"),
            "ImportFailed",
            "fix: add 'pandas_of_the_future' to requirements",
            True,
        ),
        (with_method("pass", imports="import sklearn"), "ImportFailed", "'scikit-learn'", True),
        (with_method("pass", imports="1 / 0"), "ImportFailed", "ZeroDivisionError", False),
        (  # what it makes while it is imported may be garbage
            with_method("pass", imports="import gc; raise OSError(f'{gc.isenabled()=}')"),
            "ImportFailed",
            "OSError: gc.isenabled()=True",
            False,
        ),
        ("class Plugin: pass", "ImportFailed", "no plugin class 'Plugin'", True),
        ("def broken(:", "ImportFailed", "written.py:1 is not Python", True),
        (
            "from ntp import StrategyPlugin\nclass Plugin(StrategyPlugin): pass",
            "ImportFailed",
            "does not define analyze()",
            True,
        ),
        (
            INDICATOR,
            "ImportFailed",
            "Plugin is no StrategyPlugin, but its entry stands under strategies",
            True,
        ),
        (
            STRATEGY.replace("def analyze", "async def analyze"),
            "ImportFailed",
            "analyze() is async",
            True,
        ),
        (
            with_method("async def initialize(self):\n    raise OSError('no model file')"),
            "InitializeFailed",
            "initialize() raised OSError: no model file (written.py:9)",
            False,
        ),
        (
            # As a full /tmp answers.
            with_method(
                "async def initialize(self):\n    open('/dev/full', 'w').write('x' * 9999)"
            ),
            "InitializeFailed",
            "No space left on device (written.py:9); /tmp is full: raise resources.tmp",
            False,
        ),
    ],
)
async def test_a_start_that_fails_leaves_its_reason(bench, code, reason, words, permanent):
    bench.add("one", Kind.STRATEGY, code)
    await bench.open()
    bench.start()
    assert await bench.ended("one") == (2 if permanent else 1), bench.log("one")
    end = bench.termination("one")
    assert (end.reason, end.permanent) == (reason, permanent)
    assert words in end.message


async def test_a_launch_of_another_contract_is_refused(bench):
    bench.add("one", Kind.STRATEGY, STRATEGY, contract="7.0")
    await bench.open()
    bench.start()
    assert await bench.ended("one") == 2
    end = bench.termination("one")
    assert (end.reason, end.permanent) == ("ContractMismatch", True)
    assert "contract 7.0" in end.message


async def test_a_newer_minor_contract_with_unknown_fields_is_understood(bench):
    bench.add("one", Kind.STRATEGY, STRATEGY, contract="1.99")
    await bench.open()
    file = bench.place("one") / LAUNCH_FILE
    bench.start()
    bench.kill("one")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"invented": [1, 2]}))
    bench.start_as_it_is("one")
    await bench.ready("one")


async def test_a_plugins_module_replaces_nobody_elses(bench, tmp_path):
    folder = tmp_path / "shadow"
    folder.mkdir()
    (folder / "json.py").write_text(
        "import json as real, ntp, ours\n"
        "from ntp import StrategyPlugin\n"
        "class Plugin(StrategyPlugin):\n"
        "    def analyze(self, data, history): return None\n"
        "    def report(self): return {'loads': real.loads('[1]'), 'ours': ours.WORD,"
        " 'name': __name__}\n"
    )
    (folder / "ours.py").write_text("WORD = 'mine'\n")
    (folder / "random.py").write_text("raise SystemError('this is not the real random')\n")
    bench.add("src", Kind.DATA_SOURCE, SOURCE, config={"count": 1})
    bench.add("one", Kind.STRATEGY, folder / "json.py")
    await bench.open()
    bench.start("one")
    await bench.ready("one")
    bench.start("src")
    await bench.exhausted("one")
    told = {"loads": [1], "ours": "mine", "name": "ntp_plugin_json"}
    assert bench.beat("one").report == {"BTC": told, "DOGE": told}


async def test_sigterm_before_the_broker_answers_is_a_clean_end(bench):
    bench.add("one", Kind.STRATEGY, STRATEGY)
    await bench.open()
    bench.kill_broker()
    bench.start()
    await bench.until(lambda: _catches_sigterm(bench.processes["one"].pid))
    assert await bench.stop("one") == 0


def _catches_sigterm(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(line for line in status if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> 14 & 1)
