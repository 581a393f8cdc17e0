"""A page of documentation as a session: what it has people save, type and see."""

import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"^(?P<until><!-- until -->\n)?```(?P<language>\w+)(?: (?P<file>\S+))?\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
ANYTHING = "…"
WITHIN_S = 60.0


@dataclass(frozen=True)
class Block:
    """`file`: what it is to be saved as, or empty. `until`: try again until it prints what is shown."""

    language: str
    text: str
    file: str
    until: bool
    line: int


@dataclass(frozen=True)
class Command:
    """`shown`: the lines below it. `…` is anything; alone in a line it is any number of lines."""

    typed: str
    shown: tuple[str, ...]

    def prints(self, text: str) -> bool:
        return re.fullmatch("".join(map(_pattern, self.shown)), _trimmed(text)) is not None


def blocks(page: str, language: str | None = None) -> list[Block]:
    """Return the fenced blocks of a page in their order, of one language or all."""
    return [
        Block(
            language=found["language"],
            text=found["text"],
            file=found["file"] or "",
            until=found["until"] is not None,
            line=page.count("\n", 0, found.start()) + 1,
        )
        for found in _BLOCK.finditer(page)
        if language is None or found["language"] == language
    ]


def commands(block: Block) -> Iterator[Command]:
    """Yield what a console block has people type, and what they see then."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        typed, *shown = part.splitlines()
        yield Command(typed, tuple(shown))


def section(page: str, heading: str) -> str:
    """Return the text below `## heading`."""
    found = re.search(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE
    )
    assert found is not None, f"no section {heading}"
    return found[1]


class Session:
    """Somebody who follows a page in an empty folder."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        # A pipe would have Python keep back what it prints: then it came after the errors.
        self._environment = {**environment, "PYTHONUNBUFFERED": "1"}

    def follow(self, page: str) -> int:
        """Save, type and compare all of it; return how many commands were typed."""
        count = 0
        for block in blocks(page):
            if block.file:
                (self.folder / block.file).write_text(block.text)
            elif block.language == "console":
                for command in commands(block):
                    count += 1
                    self._type(command, block)
        return count

    def _type(self, command: Command, block: Block) -> None:
        if command.typed.startswith("cd "):
            self.folder /= command.typed.removeprefix("cd ")
            assert self.folder.is_dir(), command.typed
            return
        ends = time.monotonic() + (WITHIN_S if block.until else 0)
        while True:
            code, text = self._run(command.typed)
            if command.prints(text):
                break
            assert time.monotonic() < ends, _told(command, block, text)
            time.sleep(0.3)
        assert code == _expected(command), (command.typed, code, text)

    def _run(self, typed: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-c", typed],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
        )
        return done.returncode, done.stdout


def _expected(command: Command) -> int:
    if command.typed == "ntpctl plan":
        return 6
    if "error: not everything became ready" in command.shown:
        return 5
    return 2 if any("nothing was changed" in line for line in command.shown) else 0


def _pattern(line: str) -> str:
    if line == ANYTHING:
        return r"(?:.*\n)*"
    return r"[^\n]*".join(map(re.escape, line.split(ANYTHING))) + r"\n"


def _trimmed(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def _told(command: Command, block: Block, text: str) -> str:
    shown = "\n".join(command.shown)
    return f"line {block.line}: $ {command.typed}\n{text}\n--- but the page shows:\n{shown}"
