"""What a run of a plugin gave, and what everyone relies on in it."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ntp.contract.messages import Fill, MarketData, SignalMessage, TradingSignal
from ntp.runner.core.lead import Value


class PluginFailedError(AssertionError):
    """Every reason, one a line. It is raised with `python -O` too."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons


@dataclass(slots=True)
class Result:
    """What a run gave.

    Attributes:
        ticks: rows that were taken; for a data source also what they were, in `data`.
        messages: signals as they would have gone out, with id and tick; `signals` are their contents.
        values: an indicator's value for each tick, in order.
        refused: results that the border refused, and the last reason.
        late: ticks that came after their bar was closed.
        ended: a data source's stream came to an end by itself.
        indicators: get_indicators() at the end, by symbol.
        report: report() at the end; of an executor too.
    """

    ticks: int = 0
    data: list[MarketData] = field(default_factory=list)
    messages: list[SignalMessage] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    refused: int = 0
    last_refusal: str = ""
    late: int = 0
    ended: bool = False
    indicators: dict[str, dict[str, float]] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def signals(self) -> list[TradingSignal]:
        return [message.signal for message in self.messages]


def held_to_strategy(result: Result) -> Result:
    """Return the result of a strategy's run; PluginFailedError if it is not as it has to be."""
    reasons = _refused(result)
    if not result.ticks:
        reasons.append("it was shown no tick: the data has no row that can be read")
    return _without(reasons, result)


def held_to_source(result: Result, symbols: Collection[str], *, finite: bool) -> Result:
    """Return the result of a source's run; PluginFailedError if it is not as it has to be.

    Args:
        result: what it sent.
        symbols: what was subscribed to; empty: it decides itself.
        finite: whether its class says that the stream comes to an end.
    """
    reasons = _refused(result)
    if not result.data:
        reasons.append("no tick came")
    newest: dict[str, datetime] = {}
    for position, tick in enumerate(result.data, start=1):
        before = newest.get(tick.symbol)
        if before is None and symbols and tick.symbol not in symbols:
            reasons.append(f"tick {position} is of {tick.symbol}, which was not subscribed to")
        elif before is not None and tick.timestamp < before:
            reasons.append(
                f"tick {position} of {tick.symbol} is of {tick.timestamp.isoformat()},"
                f" the one before it of {before.isoformat()}: a symbol's ticks go forward"
            )
            break
        newest[tick.symbol] = tick.timestamp
    if result.ended and not finite:
        reasons.append(
            "stream() came to an end: live that is a failure, and a restart;"
            " set `finite = True` if it is a recording"
        )
    return _without(reasons, result)


def _refused(result: Result) -> list[str]:
    if not result.refused:
        return []
    return [f"{result.refused} results were refused, the last: {result.last_refusal}"]


def _without(reasons: list[str], result: Result) -> Result:
    if reasons:
        raise PluginFailedError(reasons)
    return result
