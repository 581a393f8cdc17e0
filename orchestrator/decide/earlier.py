"""What runs and is of an earlier life of the project, whose records somebody removed."""

from orchestrator.decide.actions import Stop, StopReason
from orchestrator.decide.causes import EARLIER
from orchestrator.decide.state import Hashes, Instance


def of_others(instance: Instance, wanted: Hashes) -> Stop | None:
    """End a broker that was made for other keys, or for another port: it serves nobody here."""
    label = instance.hashes
    # An older release wrote down no wiring; of a label that cannot be read nothing is known.
    older = bool(label.identity) and not label.wiring
    if not wanted.wiring or older or label.wiring == wanted.wiring:
        return None
    return Stop(instance.name, f"{EARLIER}: it has other keys, or another port", StopReason.CHANGED)
