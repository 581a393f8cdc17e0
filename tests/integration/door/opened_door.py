"""A door as its own process, with a resolver that answers from a table; started by conftest."""

import json
import socket
import sys
import time
from pathlib import Path

from ntp.confine import door_process


def main() -> None:
    path, allow, private, detours, table, refused = sys.argv[1:]
    answers: dict[str, list[str] | str | None] = json.loads(table)

    def look_up(host: str, _: int) -> tuple[list[tuple[int, str]], int, str]:
        found = answers.get(host, [])
        while found is None:  # a name server that never answers
            time.sleep(60)
        if isinstance(found, str):  # one that answers once it may, and knows nobody
            Path(f"{found}.asked").touch()
            while not Path(found).exists():
                time.sleep(0.01)
            found = []
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        return (
            [(int(family[":" in each]), each) for each in found],
            socket.EAI_NONAME,
            "no such name",
        )

    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen(64)
    print("open", flush=True)
    door_process.serve(
        listener,
        json.loads(allow),
        refused=refused,
        private=json.loads(private),
        detours=json.loads(detours),
        look_up=look_up,
    )


main()
