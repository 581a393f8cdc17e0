"""Why an action is taken, as a person reads it in `plan`, `events` and `status`."""

from collections.abc import Collection

from orchestrator.decide.memory import running_generation
from orchestrator.decide.push import in_flight
from orchestrator.decide.state import Exit, Instance, Phase, Record
from orchestrator.decide.words import reason, sentence, span

EARLIER = "it is of an earlier life of this project, whose records are gone"


def ending(end: Exit, instance: Instance | None) -> str:
    limit = instance.usage.memory_limit if instance else 0
    return f"{reason(end)}: {sentence(end, memory_limit=limit)}"


def why_again(end: Exit, record: Record, instance: Instance) -> str:
    lived = end.at - (instance.started or end.at)
    tries = f"; failure {record.failures} in a row" if record.failures > 1 else ""
    return f"{ending(end, instance)}, after running {span(lived)}{tries}"


def why_absent(record: Record, instance: Instance | None, revision: int) -> str:
    if instance is not None and instance.phase is Phase.CREATED:
        return "was half made"
    if (
        instance is not None
        and instance.exit is not None
        and record.stopping != instance.id
        and in_flight(record, instance) is not None
    ):
        return f"changed; it ended while it was told: {ending(instance.exit, instance)}"
    if record.attempt == 0:
        return f"new in revision {revision}" if record.generation <= 1 else "changed"
    return "nothing of that name runs"


def why_changed(record: Record, told: str, differ: Collection[str], *, drift: str = "") -> str:
    if running_generation(record) < record.generation:
        return fell_back(record)
    if record.attempt == 0 and record.generation <= 1:
        return EARLIER
    if drift and not told:
        return f"somebody else changed {drift}"
    return f"changed: {told or ', '.join(differ)}"


def fell_back(record: Record) -> str:
    if record.failed_because:
        return (
            f"generation {record.generation} cannot be started; "
            f"generation {record.healthy_generation} runs again: {record.failed_because}"
        )
    return (
        f"generation {record.generation} was not healthy by its deadline; "
        f"generation {record.healthy_generation} runs again"
    )
