"""How a data source behaved, held to what the runner asks of one."""

from collections.abc import Sequence

from ntp.examination.finding import Finding, Status
from ntp.examination.order import Answer

_AHEAD_S = 5.0
"""Clocks differ; a time further in the future is none of a trade."""


def behaviour(answer: Answer) -> Sequence[Finding]:
    """Return a finding for each thing that a source has to do."""
    return [
        _connects(answer),
        _order(answer),
        _times(answer),
        _results(answer),
        _ends(answer),
        _again(answer),
    ] if answer.ticks else [_connects(answer)]  # fmt: skip


def _connects(answer: Answer) -> Finding:
    heard = answer.heard
    said = heard.connected[0] if heard.connected else "it never connected"
    if answer.raised is not None:
        return Finding("connects", Status.FAILED, str(answer.raised), answer.raised.at)
    if heard.first_s is None:
        wrong = "".join(f"; {reason}: {words}" for reason, words in heard.conditions.items())
        words = f"{said}; no tick came in {heard.seconds:.1f} s{wrong}"
        fix = (
            "look at its config, at egress in plugin.yaml (or --allow HOST:PORT), and at --seconds"
        )
        return Finding("connects", Status.FAILED, words, fix=fix)
    return Finding("connects", Status.PASSED, f"{said}, the first tick after {heard.first_s:.2f} s")


def _order(answer: Answer) -> Finding:
    heard = answer.heard
    if heard.disordered is not None:
        words = f"{heard.disordered_count:,} ticks are older than the one before, the first: {heard.disordered}"
        return Finding("order", Status.FAILED, words, heard.disordered, "a symbol's ticks go forward in time")  # fmt: skip
    if heard.unasked:
        words = f"it sends {', '.join(heard.unasked[:5])}, which nobody subscribed to"
        return Finding("order", Status.FAILED, words, fix="send what config['symbols'] names")
    return Finding("order", Status.PASSED, "the ticks of each symbol go forward in time")


def _times(answer: Answer) -> Finding:
    ahead = answer.heard.ahead_s
    if ahead > _AHEAD_S:
        words = f"the latest tick lies {ahead:,.0f} s in the future"
        return Finding("times", Status.FAILED, words, fix="naive times are local time: give datetime.fromtimestamp(x, UTC)")  # fmt: skip
    return Finding("times", Status.PASSED, "no tick lies in the future")


def _results(answer: Answer) -> Finding:
    if answer.border:
        words = f"{answer.border:,} of {answer.heard.yielded:,} ticks were refused, the last: {answer.last_refusal}"
        return Finding("ticks", Status.FAILED, words)
    rate = answer.ticks / answer.heard.seconds if answer.heard.seconds else 0.0
    return Finding("ticks", Status.PASSED, f"{answer.ticks:,} ticks of {len(answer.symbols)} symbol{'s' * (len(answer.symbols) != 1)}, {rate:,.0f} a second")  # fmt: skip


def _ends(answer: Answer) -> Finding:
    heard = answer.heard
    if heard.ended and not heard.finite:
        words = "stream() came to an end: live that is a failure, and a restart"
        return Finding("end", Status.FAILED, words, fix="set `finite = True` if it is a recording")
    words = "it ends, as it says" if heard.ended else "it goes on"
    return Finding("end", Status.PASSED, words)


def _again(answer: Answer) -> Finding:
    heard = answer.heard
    if answer.ticks and not heard.again:
        words = heard.connected[-1] if len(heard.connected) > 1 else "it did not connect"
        return Finding("reconnects", Status.FAILED, f"ended and started anew, it sent nothing: {words}")  # fmt: skip
    return Finding("reconnects", Status.PASSED, f"ended and started anew, it sent {heard.again:,} ticks")  # fmt: skip
