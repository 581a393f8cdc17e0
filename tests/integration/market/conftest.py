"""A project of somebody who buys plugins."""

import os
from types import SimpleNamespace

import pytest

from orchestrator.cli import main
from tests.worlds.users import OURS

FILE = """\
# Do not reorder.
plugins:
  data_sources:
    - name: binance_data   # the feed
      config: {symbols: [BTCUSDT]}

  strategies:
    - name: 'bollinger_strategy'
      config: {period: 20}   # days
"""


@pytest.fixture
def ntpctl(tmp_path, monkeypatch, capfd):
    project = tmp_path / "project"
    project.mkdir()
    (project / "plugins.yaml").write_text(FILE)
    monkeypatch.chdir(project)
    for name in [each for each in os.environ if each.startswith(OURS)]:
        monkeypatch.delenv(name)
    for name, folder in (("CONFIG", "buyer"), ("CACHE", "cache"), ("STATE", "state")):
        monkeypatch.setenv(f"NTP_{name}", str(tmp_path / folder))

    def run(*arguments, code=0):
        """Run the command in this process: it is what a person types, without Python's start."""
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["plugin", *map(str, arguments)])
        told = capfd.readouterr()
        assert ended.value.code == code, told.out + told.err
        return SimpleNamespace(stdout=told.out, stderr=told.err)

    run.before = FILE
    run.file = project / "plugins.yaml"
    run.cache = tmp_path / "cache"
    return run
