"""What an editor shows of plugins.yaml: the real yaml-language-server, spoken to over its pipes."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.environment import absent

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config" / "plugins.yaml"
SERVER = "yaml-language-server@1.25.0"
OFFLINE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT")

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]


def installed(cache: Path) -> Path:
    """The server's main file; fetched once, then kept, and fetched again for another version."""
    program = cache / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
    mark = cache / "installed.txt"
    with (cache / "lock").open("w") as lock:
        # Another run of the tests may be at it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (mark.exists() and mark.read_text() == SERVER and program.exists()):
            command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
            command += ["--ignore-scripts", "--prefix", cache, SERVER]
            done = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=cache)
            if done.returncode and any(words in done.stderr for words in OFFLINE):
                absent("network", "no npm registry answers")
            assert done.returncode == 0, done.stderr
            mark.write_text(SERVER)
    return program


class Editor:
    """As much of an editor as it takes: one folder, files opened whole, answers waited for.

    A server that says nothing more is ended by the time limit of the test.
    """

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._out, self._in = process.stdin, process.stdout
        self._number = 0
        self._marks: dict[str, list[dict[str, Any]]] = {}
        self.ask(
            "initialize",
            {"processId": os.getpid(), "rootUri": folder.as_uri(), "capabilities": {}},
        )
        self._send({"method": "initialized", "params": {}})
        settings = {
            "yaml": {"validate": True, "completion": True, "schemaStore": {"enable": False}}
        }
        self._send({"method": "workspace/didChangeConfiguration", "params": {"settings": settings}})

    def ask(self, method: str, params: dict[str, Any] | None) -> Any:
        self._number += 1
        number = self._number
        self._send({"id": number, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message
                return message["result"]

    def open(self, file: Path) -> None:
        document = {"uri": file.as_uri(), "languageId": "yaml", "version": 1}
        document["text"] = file.read_text()
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})

    def marks(self, file: Path) -> list[tuple[int, str]]:
        """What the server marks in an opened file: (line from 1, its words)."""
        while file.as_uri() not in self._marks:
            self._receive()
        return [
            (mark["range"]["start"]["line"] + 1, mark["message"])
            for mark in self._marks[file.as_uri()]
        ]

    def offers(self, file: Path, line: int, column: int) -> set[str]:
        """What can be completed there; line and column from 1."""
        where = {"line": line - 1, "character": column - 1}
        params = {"textDocument": {"uri": file.as_uri()}, "position": where}
        answer = self.ask("textDocument/completion", params)
        items = answer["items"] if isinstance(answer, dict) else answer
        return {item["label"] for item in items}

    def leave(self) -> None:
        self.ask("shutdown", None)
        self._send({"method": "exit"})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._out.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._out.flush()

    def _receive(self) -> dict[str, Any]:
        length = 0
        while (line := self._in.readline()) != b"\r\n":
            assert line, "the server ended"
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        message: dict[str, Any] = json.loads(self._in.read(length))
        if message.get("method") == "textDocument/publishDiagnostics":
            self._marks[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif "method" in message and "id" in message:
            # It asks for its settings, one answer for each section, and waits until it has them.
            sections = message.get("params", {}).get("items") or []
            self._send({"id": message["id"], "result": [{} for _ in sections]})
        return message


@pytest.fixture
def editor(pytestconfig, desk) -> Iterator[Editor]:
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            absent("programs", f"there is no {command} here")
    program = installed(pytestconfig.cache.mkdir("yaml-language-server"))
    with subprocess.Popen(
        ["node", program, "--stdio"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=desk,
    ) as process:
        try:
            editor = Editor(process, desk)
            yield editor
            editor.leave()
            assert process.wait(30) == 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


@pytest.fixture
def desk(tmp_path) -> Path:
    """A project whose first line names the schema, as the example's does, and no other setting."""
    (tmp_path / "config").mkdir()
    shutil.copytree(ROOT / "schemas", tmp_path / "schemas")
    return tmp_path


def written(desk: Path, text: str) -> Path:
    file = desk / "config" / "plugins.yaml"
    file.write_text(text)
    return file


def changed(before: str, after: str) -> str:
    """The example with one place changed."""
    text = EXAMPLE.read_text()
    assert text.count(before) == 1, before
    return text.replace(before, after)


def line_of(file: Path, words: str) -> int:
    (line,) = [at for at, each in enumerate(file.read_text().splitlines(), 1) if words in each]
    return line


def test_the_example_has_no_mark(editor, desk):
    file = written(desk, EXAMPLE.read_text())
    editor.open(file)
    assert editor.marks(file) == []


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("lookback: 14", "lookbak: 14", "lookbak"),
        ("lookback: 14", "lookback: fast", "Expected"),
        ("threshold: 0.7", "threshold: 1.7", "1"),
        ("      config: {lookback", "      confg: {lookback", "confg"),
        ("  indicators:", "  indicator:", "indicator"),
        ("    - name: rsi_indicator", "    - name: rsi_indicator\n      capital: 5", "capital"),
        ("    - name: rsi_indicator", "    - name: rsi_indicator\n      enabled: maybe", "boolean"),
    ],
)
def test_a_mistake_is_marked_in_its_line(editor, desk, before, after, words):
    file = written(desk, changed(before, after))
    editor.open(file)
    marks = editor.marks(file)
    line = line_of(file, after.rpartition("\n")[2])
    assert [at for at, _ in marks] == [line], marks
    assert words in marks[0][1]


def test_fields_of_an_entry_are_offered(editor, desk):
    file = written(
        desk, changed("    - name: paper_executor\n", "    - name: paper_executor\n      \n")
    )
    editor.open(file)
    offered = editor.offers(file, line_of(file, "paper_executor") + 1, 7)
    assert {"config", "enabled", "inputs", "resources", "secrets", "storage", "timeout"} <= offered
    # The capital is a strategy's.
    assert "capital" not in offered


def test_kinds_are_offered(editor, desk):
    file = written(desk, changed("plugins:\n", "plugins:\n  \n"))
    editor.open(file)
    # Those that are there already are not offered again.
    assert editor.offers(file, line_of(file, "plugins:\n".strip()) + 1, 3) == set()
    less = written(
        desk, "# yaml-language-server: $schema=../schemas/plugins.schema.json\nplugins:\n  \n"
    )
    other = less.rename(less.with_name("other.yaml"))
    editor.open(other)
    assert {"data_sources", "indicators", "strategies", "executors"} <= editor.offers(other, 3, 3)


@pytest.mark.parametrize(
    ("kind", "name", "keys"),
    [
        ("data_sources", "binance_data", {"stream_url", "symbols", "channels"}),
        ("strategies", "bollinger_strategy", {"period", "std_dev", "position_size"}),
        ("strategies", "momentum_strategy", {"lookback", "threshold", "position_size"}),
        ("executors", "paper_executor", {"fee_rate", "slippage"}),
    ],
)
def test_keys_of_a_bundled_plugins_config_are_offered(editor, desk, kind, name, keys):
    schema = EXAMPLE.read_text().splitlines()[0]
    entry = f"plugins:\n  {kind}:\n    - name: {name}\n      config:\n        "
    file = written(desk, f"{schema}\n{entry}\n")
    editor.open(file)
    offered = editor.offers(file, 6, 9)
    assert keys <= offered
    assert "enabled" not in offered


def test_names_of_bundled_plugins_are_offered(editor, desk):
    schema = EXAMPLE.read_text().splitlines()[0]
    file = written(desk, f"{schema}\nplugins:\n  strategies:\n    - name: \n")
    editor.open(file)
    assert {"bollinger_strategy", "momentum_strategy"} <= editor.offers(file, 4, 13)
