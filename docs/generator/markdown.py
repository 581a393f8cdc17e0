"""Tables and code as GitHub reads them."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def code(text: str) -> str:
    """Return a text in the middle of a line as code; nothing stays nothing."""
    return f"`{text}`" if text else ""


def block(text: str, language: str) -> str:
    return f"```{language}\n{text.strip()}\n```\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
