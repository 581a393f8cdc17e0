import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import create_server, socket

import pytest


@dataclass
class Opened:
    path: str
    refused_file: Path

    def refused(self) -> dict[str, int]:
        content = self.refused_file.read_text()
        return json.loads(content) if content else {}


OpenDoor = Callable[..., Opened]


@pytest.fixture
def open_door(tmp_path: Path) -> Iterator[OpenDoor]:
    """Return a function that opens a door; all are shut at the end."""
    processes: list[subprocess.Popen[str]] = []

    def opened(
        *allow: str,
        private: Sequence[str] = (),
        detours: Sequence[str] = (),
        names: Mapping[str, Sequence[str] | str | None] | None = None,
        folder: Path = tmp_path,
    ) -> Opened:
        folder.mkdir(parents=True, exist_ok=True)
        number = len(processes)
        door = Opened(f"{folder}/{number}.sock", folder / f"refused.{number}.json")
        process = subprocess.Popen(
            [
                sys.executable,
                Path(__file__).with_name("opened_door.py"),
                door.path if len(door.path) < 107 else f"{number}.sock",
                json.dumps(allow),
                json.dumps(private),
                json.dumps(detours),
                json.dumps(names or {}),
                door.refused_file,
            ],
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
        )
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        return door

    yield opened
    for process in processes:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@dataclass
class Echo:
    port: int


@pytest.fixture
def echo() -> Iterator[Echo]:
    """A server on loopback that gives each connection back what it sends."""
    with create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=_give_back, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Echo(server.getsockname()[1])
        server.shutdown(2)
    thread.join()


def _give_back(connection: socket) -> None:
    with connection:
        while data := connection.recv(4096):
            connection.sendall(data)
