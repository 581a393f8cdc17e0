"""The order in which everything is stopped: sources, then those who listen, the broker last.

So nothing that was sent is lost on the way: a strategy still sees its last tick, an executor its
last signal. Who has ended is removed at once: that waits for nobody.
"""

from collections.abc import Collection, Mapping

from ntp.contract.names import Kind
from orchestrator.decide.actions import Action, Remove, Stop, StopReason
from orchestrator.decide.state import Observed, Phase

CAUSE = "everything is taken down"


def wind_down(
    observed: Observed,
    *,
    kinds: Mapping[str, Kind],
    system: Collection[str],
    delete_data: bool,
    going: Collection[str] = (),
) -> list[Action]:
    """Return the next actions towards nothing; none when blind, or when nothing is left.

    Args:
        observed: one picture of the world.
        kinds: of the plugins, as far as they are known.
        system: names that come last.
        delete_data: their storage goes too.
        going: names with an action still under way; who comes after them waits.
    """
    instances = observed.instances or {}
    # What was created and never ran (its start was refused, or cut off) has nothing to stop.
    over = (Phase.EXITED, Phase.CREATED)
    alive = {name for name, each in instances.items() if each.phase not in over}
    plugins = alive - set(system)
    sources = {name for name in plugins if kinds.get(name) is Kind.DATA_SOURCE}
    stopped = sources or plugins or alive
    ended = set(instances) - alive
    plugins_are_gone = instances.keys() <= set(system)
    removed = ended if plugins_are_gone else ended - set(system)
    return [
        *(Stop(name, CAUSE, StopReason.UNWANTED) for name in sorted(stopped - set(going))),
        *(Remove(name, CAUSE, delete_data) for name in sorted(removed - set(going))),
    ]
