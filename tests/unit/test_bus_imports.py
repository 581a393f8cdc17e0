"""What the controller's connection imports: in a fresh interpreter, as everything here has it whole."""

import subprocess
import sys


def _said(program):
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()


def test_a_controller_starts_without_what_clusters_need():
    program = "import orchestrator.app.house, sys; print('aiohttp' in sys.modules)"
    assert _said(program) == ["False"]


def test_who_needs_it_has_it():
    assert _said("import orchestrator.bus, aiohttp; print(aiohttp.__name__)") == ["aiohttp"]
