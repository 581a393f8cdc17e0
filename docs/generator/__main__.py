"""`python -m docs.generator [--check]`: write what is generated of docs/ and helm/, or compare it."""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from docs.generator import chart_values, commands, plugins_yaml
from docs.generator.regions import filled
from orchestrator.spec import custom_resource

DOCS = Path(__file__).parents[1]
PAGES: Mapping[str, Callable[[], dict[str, str]]] = {
    "reference/plugins-yaml.md": plugins_yaml.parts,
    "reference/cli.md": commands.parts,
    "kubernetes.md": chart_values.parts,
}
FILES: Mapping[str, Callable[[], bytes]] = {
    f"helm/ntp/crds/{custom_resource.FILE}": custom_resource.render,
    "helm/ntp/values.schema.json": chart_values.render,
}
"""Those that are generated as a whole; from the root."""


def main(arguments: list[str], docs: Path = DOCS) -> int:
    """Return the exit code: 0 done, 2 wrong usage, 6 a page is stale."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    stale = 0
    for name, path, text in _rendered(docs):
        if path.exists() and path.read_bytes() == text:
            continue
        if arguments:
            stale += 1
            print(f"{name}: differs from the code\n  fix: make docs", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
            print(f"wrote {name}", file=sys.stderr)
    if arguments and not stale:
        print(f"{len(PAGES) + len(FILES)} generated files equal the code", file=sys.stderr)
    return 6 if stale else 0


def _rendered(docs: Path) -> Iterator[tuple[str, Path, bytes]]:
    """Yield each file as it should be: its name for people, where it is, and its content."""
    for name, parts in PAGES.items():
        path = docs / name
        yield f"docs/{name}", path, filled(path.read_text(), parts()).encode()
    for name, render in FILES.items():
        yield name, DOCS.parent / name, render()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
