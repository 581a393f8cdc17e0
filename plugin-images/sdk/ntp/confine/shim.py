"""The parent of one plugin: a small process that outlives the controller, as containerd's shim does.

    python -I -S shim.py serve SOCKET                          one beside a controller: shim_serve
    python -I -S shim.py watch FOLDER key=value … -- host:port …     one beside a plugin: shim_watch

A shim is forked from the server, which has imported what a start needs (json, ctypes, the sandbox:
13 MB); when its plugin runs it replaces itself (exec: same pid, same children, same lock) by `watch`,
which is 9 MB and has nothing to do but wait. Stops are asked for through a FIFO. The shim itself
ignores SIGTERM: at a machine's shutdown the plugin gets its own, and somebody has to write down how it
ended.

A limit of this design: whoever kills the whole control group that the controller was started in (a
`systemd` unit without `KillMode=process`, the end of a login session) kills the shims in it as well.
"""

import sys


def _without_sdk() -> None:
    """Make `ntp.confine` importable and leave `ntp` itself, which loads the whole SDK, aside."""
    package = type(sys)("ntp")
    package.__path__ = [__file__.rsplit("/", 2)[0]]
    sys.modules["ntp"] = package


if __name__ == "__main__":
    _without_sdk()
    if sys.argv[1] == "watch":
        from ntp.confine import shim_watch

        shim_watch.main(sys.argv[2:])
    else:
        from ntp.confine import shim_serve

        shim_serve.main(int(sys.argv[2]))
