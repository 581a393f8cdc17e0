"""How executors hear who is halted.

A state with a number: it is sent to an executor that runs until a beat says that this number is obeyed,
and each launch file has it. Nothing that is applied, started or restarted changes it.
"""

from dataclasses import replace
from datetime import datetime

from ntp.contract.beat import Beat
from ntp.contract.names import Kind
from orchestrator.decide.actions import Halt, Wait
from orchestrator.decide.halts import Halts
from orchestrator.decide.memory import beat_of
from orchestrator.decide.policy import Policy
from orchestrator.decide.state import Instance, Observed, Record, Sent
from orchestrator.spec.model import PluginSpec


def pending(beat: Beat | None, halts: Halts) -> str:
    """Say what an executor has to obey and did not say that it does; empty: nothing."""
    if beat is None or beat.kind != Kind.EXECUTOR or not halts.number:
        return ""
    if beat.halted is None:
        return "" if halts.none else "its ntp-sdk knows no halt: stop it instead"
    if beat.halted.number < halts.number:
        return "not confirmed yet"
    return beat.halted.refusal


def heard(spec: PluginSpec, observed: Observed, beat: Beat | None) -> str:
    """Say why an executor that runs may not obey the newest word yet; empty: it does."""
    if spec.kind is not Kind.EXECUTOR or not observed.halts.number:
        return ""
    if observed.listening_since is None:
        return "a halt or its end is not confirmed: the bus does not answer; it holds once it does"
    why = pending(beat, observed.halts) if beat is not None else "it was not heard yet"
    return f"a halt or its end is not obeyed: {why}" if why else ""


def tell_halt(
    record: Record, instance: Instance, observed: Observed, policy: Policy, now: datetime
) -> Halt | Wait | None:
    """Return how a running executor hears of it: told, waited for, told again; None: it obeys."""
    if observed.listening_since is None:
        return None
    beat = beat_of(instance.name, observed)
    why = pending(beat, observed.halts)
    if not why or (
        beat is not None and beat.halted and beat.halted.number >= observed.halts.number
    ):
        return None
    number, sent = observed.halts.number, record.halt_sent
    cause = f"who is halted (change {number}) is {why}"
    if sent is not None and (sent.life, sent.number) == (instance.id, number):
        again = sent.at + policy.push_again
        if sent.at <= now < again:
            return Wait(instance.name, again, cause)
    return Halt(instance.name, number, cause)


def halt_sending(record: Record, instance: Instance, number: int, now: datetime) -> Record:
    """It is about to be told."""
    return replace(record, halt_sent=Sent(instance.id, number, now))
