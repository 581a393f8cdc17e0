"""Where bubblewrap is there and may not make namespaces, a lone file is read in the tier that works."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ntp.confine import kernel
from tests.integration.catalog.conftest import STRATEGY
from tests.worlds.users import plain

WITHOUT = """
echo 0 > /proc/sys/user/max_user_namespaces
exec setpriv --inh-caps=-all --ambient-caps=-all -- "$@"
"""
UNSHARE = ("unshare", "-U", "--map-user=1000", "--map-group=1000", "--keep-caps", "bash", "-c")


def _namespaces_can_be_refused() -> bool:
    if not kernel.landlock_abi() or not all(map(shutil.which, ("unshare", "setpriv", "bwrap"))):
        return False
    tried = subprocess.run([*UNSHARE, WITHOUT, "-", "true"], capture_output=True, check=False)
    return tried.returncode == 0


@pytest.mark.skipif(not _namespaces_can_be_refused(), reason="needs user namespaces, and Landlock")
def test_a_lone_file_is_read_where_namespaces_are_refused(tmp_path: Path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "lone.py").write_text(STRATEGY.format(requirements=[]))
    text = "plugins:\n  data_sources: [{name: replay_data}]\n  strategies: [{name: lone}]\n"
    (tmp_path / "plugins.yaml").write_text(text)
    done = subprocess.run(
        [*UNSHARE, WITHOUT, "-", sys.executable, "-m", "orchestrator", "validate"],
        text=True,
        capture_output=True,
        check=False,
        timeout=100,
        cwd=tmp_path,
        env={
            **plain(),
            "PLUGIN_DIR": "plugins",
            "NTP_STATE": f"{tmp_path}/state",
            "NTP_CACHE": f"{tmp_path}/cache",
        },
    )
    assert done.returncode == 0, done.stderr
