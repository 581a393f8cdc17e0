"""One message stored now and then: a store that was full wedges without an error."""

import json
import shutil
from pathlib import Path

from orchestrator.bus.client import Life
from orchestrator.errors import UnreachableError

_NAME = "CANARY"
_IN_USE = 10058
"""JetStream's error code: the stream is there, and differs."""


async def complaints(core: Life, folder: Path | None, *, replicas: int) -> list[str]:
    """Say that nothing is stored. `folder`: on the broker's disk; None: not on this machine."""
    config = {
        "name": _NAME,
        "subjects": ["canary"],
        "max_msgs": 1,
        "discard": "old",
        "num_replicas": replicas,
    }
    try:
        made = await core.jetstream(f"STREAM.CREATE.{_NAME}", config)
        if (made.get("error") or {}).get("err_code") == _IN_USE:
            made = await core.jetstream(f"STREAM.UPDATE.{_NAME}", config)
        stored = await core.request("canary", b"tweet") if "error" not in made else b"{}"
        if json.loads(stored).get("seq"):
            return []
        words = (made.get("error") or json.loads(stored).get("error") or {}).get("description")
    except (UnreachableError, ValueError) as error:
        words = str(error)
    if folder is None:
        return [
            f"the broker stores nothing ({words}); has it room, and more than half its servers?"
        ]
    free = shutil.disk_usage(folder).free // (1024 * 1024)
    advice = f"{free} MiB are free on its disk: free more, then restart the broker"
    return [f"the broker stores nothing ({words}); {advice}"]
