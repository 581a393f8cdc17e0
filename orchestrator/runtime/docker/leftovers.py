"""What an engine still has of a project that was taken down: nothing, if all went well."""

from contextlib import closing
from pathlib import Path

from orchestrator.runtime.docker import identity
from orchestrator.runtime.docker.bridges import Bridges
from orchestrator.runtime.docker.engine import Engine
from orchestrator.runtime.docker.places import Places
from orchestrator.runtime.uids import owner_of


def left_behind(project: str, state: Path, *, base_url: str | None) -> list[str]:
    """Return containers and folders, in words. Blocking.

    Raises:
        UnreachableError: the engine does not answer.
    """
    owner = owner_of(project, state)
    with closing(Engine(base_url)) as engine:
        found = [
            f"container {each['Names'][0].removeprefix('/')} ({each['State']})"
            for each in engine.containers([f"{identity.OWNER}={owner}"])
        ]
        found += [f"network {each['Name']}" for each in Bridges(owner, engine).listed()]
    memory = Places(owner, state).memory
    return [*found, *([f"folder {memory}"] if memory.exists() else [])]
