"""Where a plugin was, in words, when it raised."""

import traceback
from pathlib import Path

from ntp.contract.messages import MarketData
from ntp.examination.order import At, Raised
from ntp.runner.core.lead import Run
from ntp.runner.load import place


def raised(error: BaseException, code: Path) -> Raised:
    """Return what was raised, the line of the plugin's own code, and the tick that it was shown."""
    said = " ".join(str(error).split())[:300]
    return Raised(
        words=type(error).__name__ + (f": {said}" if said else ""),
        place=place(error, code),
        at=_tick(error),
    )


def _tick(error: BaseException) -> At | None:
    """Find it where the engine was: the innermost of its frames knows the run, and how far it was shown."""
    at: At | None = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        found = frame.f_locals
        run, index, shown = found.get("run"), found.get("at"), found.get("one")
        if isinstance(run, Run) and isinstance(index, int) and index < len(run.ticks):
            tick: MarketData = run.ticks[index]
            at = At(tick.symbol, run.seq + index, tick.id, tick.timestamp)
        elif isinstance(shown, MarketData):  # to an executor
            at = At(shown.symbol, 0, shown.id, shown.timestamp)
    return at
