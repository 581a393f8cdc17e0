"""Whether a plugin as a whole can have limits here: by root, or where systemd has delegated a control group."""

import functools

from ntp.confine.probe import probe


@functools.cache
def hold() -> bool:
    """By a trial, as `ntpctl doctor` does; some 100 ms."""
    return set(probe().limits) == {"memory", "cpu", "pids"}
