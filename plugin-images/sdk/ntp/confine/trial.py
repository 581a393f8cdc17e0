"""Start one tiny program in a sandbox, look at it from outside, end it, and say what was seen.

    python -I -S trial.py POLICY-AS-JSON

A process of its own, since `sandbox.spawn` forks and its caller may have threads; standard library
only, as the shim. Prints {"tier", "active", "missing", "limits"} or {"error"} as JSON.
"""

import contextlib
import json
import os
import select
import sys
from typing import Any

_READY_S = 30.0
_PROGRAM = "import time; print('ready', flush=True); time.sleep(60)"


def main(text: str) -> dict[str, Any]:
    from ntp.confine import cgroup, sandbox, verify
    from ntp.confine.policy import ConfineError, Policy

    policy = Policy.from_json(text)
    group = cgroup.create(policy.name, policy)
    out, out_end = os.pipe2(os.O_CLOEXEC)
    err, err_end = os.pipe2(os.O_CLOEXEC)
    pid = None
    try:
        argv = [sys.executable, "-I", "-S", "-c", _PROGRAM]
        pid = sandbox.spawn(policy, argv, {}, stdout=out_end, stderr=err_end, group=group)
        os.close(out_end)
        os.close(err_end)
        if not select.select([out], [], [], _READY_S)[0]:
            return {
                "late": True,
                "error": f"the trial was not ready within {_READY_S:.0f} s, twice",
            }
        if os.read(out, 16) != b"ready\n":
            words = os.read(err, 4096).decode(errors="replace")
            return {"error": words.strip() or "the trial program ended without a word"}
        found = verify.isolation(pid, policy, group)
        if found is None:
            return {"error": "the trial program ended while it was looked at"}
        tier, active, missing = found
    except ConfineError as e:
        return {"error": str(e)}
    else:
        return {"tier": tier, "active": active, "missing": missing, "limits": group.active}
    finally:
        if pid is not None:
            sandbox.kill(pid, group)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        group.remove()


if __name__ == "__main__":
    # `ntp` itself would load the whole SDK, which `-S` hides.
    package = type(sys)("ntp")
    package.__path__ = [__file__.rsplit("/", 2)[0]]
    sys.modules["ntp"] = package
    sys.stdout.write(json.dumps(main(sys.argv[1])))
