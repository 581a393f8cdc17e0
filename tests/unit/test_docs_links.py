"""Links of the pages lead somewhere, every page is linked from the index, and its yaml is good."""

import re
from pathlib import Path

import pytest

from orchestrator.spec import load

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([
    *ROOT.glob("*.md"),
    *DOCS.rglob("*.md"),
    *(ROOT / "plugin-images").glob("*/README.md"),
])  # fmt: skip
_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def links(page: Path) -> list[str]:
    return _LINK.findall(_CODE.sub("", page.read_text()))


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    broken = []
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_index_links_every_page():
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in links(DOCS / "README.md")}
    missing = {page for page in DOCS.rglob("*.md") if page != DOCS / "README.md"} - linked
    assert sorted(str(page.relative_to(DOCS)) for page in missing) == []


def test_the_readme_links_the_index():
    assert "docs/README.md" in links(ROOT / "README.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_plugins_yaml_on_a_page_is_good(page):
    for text in re.findall(r"^```yaml.*?\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE):
        if re.search(r"^plugins:", text, re.MULTILINE):
            load.read([(page.name, text)], environment={}, project="desk")
