"""Why a replay may differ although nothing is wrong: what live depends on that no ledger tells."""

from collections.abc import Iterable

from ntp.contract.launch import LaunchFile, Listen
from ntp.runner.core.notice import looks_at_fills
from ntp.runner.core.strategy import StrategyWork


def caveats(
    strategy: StrategyWork, inputs: Iterable[Listen], executor: LaunchFile, symbols: int
) -> list[str]:
    """Return in words what of this session a replay cannot know; after it.

    `inputs` are the strategy's, `symbols` how many were heard.
    """
    found = []
    if any(one.policy == "latest" for one in inputs):
        found.append("it is shown every tick, and live, with policy: latest, was not")
    some = next(iter(strategy.all()))
    if looks_at_fills(strategy):
        found.append(
            "it looks at its fills (position() or on_fill); where it was killed, it may have learned of"
            " some twice"
        )
    if not some.per_symbol and symbols > 1:
        found.append("one object of it sees all symbols, live in an order of its own")
    if executor.risk:
        found.append(
            f"the limits of {executor.instance} are on the sum over its strategies, and here is one"
        )
    return found
