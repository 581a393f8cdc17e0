"""A credential is exchanged as the controller does it: the life that had it is stopped, another begins."""

import pytest

from orchestrator.bus.client import dial
from orchestrator.errors import UnreachableError
from orchestrator.spec.model import Desired
from orchestrator.spec.rights import rights
from orchestrator.spec.wiring import Wiring
from tests.integration.runner.test_runner_disturbed import begin, halfway, signals, trio, wanted
from tests.integration.runner.test_runner_memory import RESUMING


@pytest.mark.parametrize("name", ["src", "ten", "paper"])
async def test_every_signal_has_its_one_effect_whoever_is_given_another(bench, tmp_path, name):
    notes = trio(bench, tmp_path, source=RESUMING)
    await begin(bench)
    await halfway(bench, 600)
    old = bench.broker.credentials(name)
    assert await bench.stop(name) == 0
    desired = Desired("test", 1, bench.plugins)
    await bench.broker.rotate(rights(desired, Wiring(desired).edges)[name])
    with pytest.raises(UnreachableError):
        async with dial(bench.broker.address(), old, name="old"):
            pass
    bench.start(name)
    await bench.exhausted("src", "ten", "paper")
    every = [each.replace(":src:", ":src:row-") for each in wanted(600)]
    await bench.until(lambda: len(signals(notes)) >= len(every))
    assert sorted(signals(notes)) == sorted(every)
