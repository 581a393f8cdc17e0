"""A signal past the engine: sent to a container's own process, and to nobody else."""

import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.runtime.docker import word

WAIT = "import signal; signal.sigwait({signal.SIGTERM})"


@pytest.fixture
def process():
    with subprocess.Popen([sys.executable, "-c", WAIT]) as found:
        yield found
        found.kill()


@contextmanager
def told_its_group(monkeypatch, pid, group):
    """Have the kernel say that the process `pid` is in that control group."""
    read = Path.read_text

    def say(path, *args, **kwargs):
        return group if str(path) == f"/proc/{pid}/cgroup" else read(path, *args, **kwargs)

    with monkeypatch.context() as changed:
        changed.setattr(Path, "read_text", say)
        yield


def test_a_process_of_no_container_hears_nothing(process):
    assert not word.told("0123abcd" * 8, process.pid, signal.SIGKILL)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.2)


def test_the_process_of_the_container_hears_it(process, monkeypatch):
    container = "0123abcd" * 8
    with told_its_group(monkeypatch, process.pid, f"5:cpu:/docker/{container}\n"):
        assert word.told(container, process.pid, signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL


def test_of_one_who_is_gone_the_engine_is_asked(process):
    process.kill()
    process.wait(10)
    assert not word.told("0123abcd" * 8, process.pid, signal.SIGTERM)


def test_without_a_process_the_engine_is_asked():
    assert not word.told("0123abcd" * 8, 0, signal.SIGTERM)
