"""A controller has structlog without rich, and the command line's tables have rich all the same."""

import subprocess
import sys

PROGRAM = """
import sys
from orchestrator.app import bare_structlog
import orchestrator.app.on_cluster, structlog
assert not [each for each in sys.modules if each.partition(".")[0] in ("rich", "pygments")]
try:
    raise ValueError("told")
except ValueError:
    structlog.get_logger().exception("a bug")
from rich.table import Table
print(Table.__module__)
"""
WHOLE = """
import sys, rich
from orchestrator.app import bare_structlog
print(sys.modules["rich"] is rich and rich.__name__)
"""


def ran(program):
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_imported_without_rich_which_is_there_for_whoever_asks():
    told = ran(PROGRAM)
    assert "ValueError: told" in told
    assert told.splitlines()[-1] == "rich.table"


def test_whoever_has_rich_keeps_it():
    assert ran(WHOLE).strip() == "rich"
