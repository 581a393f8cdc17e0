import gc

import pytest

from orchestrator.errors import UnreachableError
from orchestrator.runtime.docker.engine import Engine


async def test_who_is_not_answered_leaves_no_socket_open(tmp_path):
    engine = Engine(f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(UnreachableError, match="nobody listens"):
        await engine.run(engine.info)
    engine.close()
    gc.collect()  # the warnings of what was left open are errors, and are this test's then
