"""`python -m docs.generator [--check]`: write the generated parts of docs/, or compare them."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from docs.generator import commands, plugins_yaml
from docs.generator.regions import filled

DOCS = Path(__file__).parents[1]
PAGES: Mapping[str, Callable[[], dict[str, str]]] = {
    "reference/plugins-yaml.md": plugins_yaml.parts,
    "reference/cli.md": commands.parts,
}


def main(arguments: list[str], docs: Path = DOCS) -> int:
    """Return the exit code: 0 done, 2 wrong usage, 6 a page is stale."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    stale = 0
    for name, parts in PAGES.items():
        path = docs / name
        page = path.read_text()
        fresh = filled(page, parts())
        if fresh == page:
            continue
        if arguments:
            stale += 1
            print(f"docs/{name}: differs from the code\n  fix: make docs", file=sys.stderr)
        else:
            path.write_text(fresh)
            print(f"wrote docs/{name}", file=sys.stderr)
    if arguments and not stale:
        print(f"{len(PAGES)} references equal the code", file=sys.stderr)
    return 6 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
