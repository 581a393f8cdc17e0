"""What a controller, and a command, import: in a fresh interpreter, as everything here has it whole."""

import subprocess
import sys


def _said(program):
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()


def test_a_controller_starts_without_what_clusters_need():
    program = "import orchestrator.app.on_machine, sys; print('aiohttp' in sys.modules)"
    assert _said(program) == ["False"]


def test_a_first_plan_needs_nothing_that_only_a_controller_runs():
    program = "import orchestrator.app.first_plan, sys; print(*sys.modules)"
    heavy = {"orchestrator.controller.controller", "nats", "prometheus_client", "structlog"}
    assert not heavy & {*_said(program)}


def test_who_needs_it_has_it():
    program = "import orchestrator.bus.client, aiohttp; print(aiohttp.__name__)"
    assert _said(program) == ["aiohttp"]


def test_keys_need_no_connection():
    program = "import orchestrator.bus.keys, sys; print('nats' in sys.modules)"
    assert _said(program) == ["False"]


def test_who_writes_a_plugin_set_needs_neither_a_controller_nor_the_models():
    program = "import orchestrator.app.cluster_apply, sys; print(*sys.modules)"
    assert not {"orchestrator.controller.loop", "nats", "pydantic"} & {*_said(program)}


def test_a_controller_on_a_cluster_imports_nothing_of_other_machines():
    program = "import orchestrator.app.on_cluster, orchestrator.runtime.kubernetes.runtime, sys; print(*sys.modules)"
    others = {"cryptography", "sqlite3", "orchestrator.app.house", "orchestrator.catalog.catalog"}
    assert not others & {*_said(program)}
