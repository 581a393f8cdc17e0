"""Plugins that lay traps in the folder that the host reads: none is followed, none is waited for."""

import pytest

from ntp.examination.cell import Limits
from ntp.examination.examine import examine
from ntp.examination.fault import ConfinedError
from ntp.examination.wish import Wish

PLUGIN = """
import os
from ntp import StrategyPlugin, TradingSignal

class Tested(StrategyPlugin):
    laid = False

    def lay(self, folder):
        self.laid = True
        path = f"{folder}/NAME"
        if os.path.lexists(path):
            os.unlink(path)
        TRAP

    def analyze(self, data, history):
        self.laid or self.lay(os.environ["HOME"])
        THEN
"""
SIGNALS = 'return TradingSignal(data.symbol, "BUY", 1.0, data.price)'


@pytest.fixture
def tested(tmp_path):
    data = tmp_path / "prices.csv"
    rows = "".join(f"2024-08-08T00:00:{i:02}Z,BTC,{100 + i}\n" for i in range(30))
    data.write_text("timestamp,symbol,price\n" + rows)

    def run(name, trap, then, **wish):
        path = tmp_path / "tested.py"
        path.write_text(PLUGIN.replace("NAME", name).replace("TRAP", trap).replace("THEN", then))
        return examine(Wish(path, data=[str(data)], checks=False, **wish), lambda _: None)

    return run


@pytest.mark.parametrize(
    ("name", "trap", "why"),
    [
        ("signals.jsonl", 'os.symlink("/etc/passwd", path)', "signals.jsonl cannot be read: too many levels"),
        ("fills.jsonl", 'os.symlink("/dev/zero", path)', "fills.jsonl cannot be read: too many levels"),
        ("fills.jsonl", "os.mkfifo(path)", "fills.jsonl cannot be read: it is no regular file"),
        ("signals.jsonl", "os.mkdir(path)", "signals.jsonl cannot be read: it is no regular file"),
        ("signals.jsonl", 'open(path, "w").write("no JSON")', "signals.jsonl cannot be read: line 1: "),
        ("fills.jsonl", 'open(path, "w").truncate(5 << 20)', "fills.jsonl cannot be read: a line has more than 4 MiB"),
        ("assessment.json", 'os.symlink(f"{folder}/elsewhere", path)', "assessment.json cannot be read: too many levels"),
        ("answer.json", "os.mkdir(path)", "answer.json cannot be read: it is no regular file"),
    ],
)  # fmt: skip
def test_what_is_no_file_of_a_run_is_named(tested, name, trap, why):
    with pytest.raises(ConfinedError, match=why) as raised:
        tested(name, trap, SIGNALS)
    assert raised.value.plugins
    assert raised.value.fix


def test_a_pipe_instead_of_progress_does_not_outlast_the_deadline(tested):
    with pytest.raises(ConfinedError, match="progress cannot be read: it is no regular file"):
        tested("progress", "os.mkfifo(path)", "while True: pass", limits=Limits(deadline_s=5.0))


def test_what_it_says_is_shown_without_what_a_terminal_obeys(tested):
    then = r'raise ValueError("\033]0;owned\a\u202egnp.exe" + "\n  ok all checks")'
    examined = tested("nothing", "pass", then)
    assert str(examined.answer.raised).startswith(
        "it raised ValueError: ]0;ownedgnp.exe ok all checks"
    )
