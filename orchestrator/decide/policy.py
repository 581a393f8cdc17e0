"""The times and counts that decisions use, in one place; tests and settings change them here."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Self

from ntp.contract.beat import QUIET_S


@dataclass(frozen=True, slots=True)
class Tries:
    """Of one message to somebody outside: with these waits more than six minutes."""

    most: int = 12
    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Policy:
    stable: timedelta = timedelta(seconds=60)
    """A life of at least this length wipes out the failures before it."""
    healthy: timedelta = timedelta(seconds=10)
    """A generation that was ready for this long is one to go back to."""
    first_delay: timedelta = timedelta(seconds=1)
    """Before the restart that follows the first failure without a stable life; doubles from there."""
    longest_delay: timedelta = timedelta(minutes=5)
    give_up_after: int = 20
    """Failures in a row: with the delays above, more than an hour of trying."""
    hold: timedelta = timedelta(seconds=30)
    """How long a data source is held back for those who listen to it."""
    longest_hold: timedelta = timedelta(minutes=10)
    """The same, when listeners have not even been started (their requirements are being installed)."""
    generation_deadline: timedelta = timedelta(seconds=60)
    """Plus the plugin's own timeout: by then a changed plugin is healthy, or the one before is started again."""
    push_again: timedelta = timedelta(seconds=8)
    """A pushed config that is not confirmed by then is sent again: a message may be lost."""
    push_deadline: timedelta = timedelta(seconds=30)
    """Plus twice the plugin's own timeout (it unsubscribes, then subscribes): then it is started anew."""
    beat_interval: timedelta = timedelta(seconds=QUIET_S)
    beats_missed: int = 2
    """So many intervals plus the plugin's timeout without a beat, and it is unresponsive."""
    longest_delay_of_system: timedelta = timedelta(seconds=10)
    """Without the broker nobody can do anything, so it is tried again soon, and never given up."""

    def of_system(self) -> Self:
        longest = min(self.longest_delay, self.longest_delay_of_system)
        return replace(self, longest_delay=longest)
