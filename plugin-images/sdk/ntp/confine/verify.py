"""What really surrounds a running plugin, read from outside, in words for its owner."""

from ntp.confine.cgroup import Group
from ntp.confine.policy import Policy


def isolation(
    pid: int, policy: Policy, group: Group | None
) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """Return (tier, active, missing) of the plugin behind `pid` (what `sandbox.spawn` returned)."""
    raise NotImplementedError
