"""Run the demo once: its live view to docs/demo.svg, its page as a browser shows it to docs/demo.png."""

import io
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from orchestrator import app
from orchestrator.app import demonstration, past
from orchestrator.app.demonstration import SECONDS
from orchestrator.app.overheard import Transcript, listening
from orchestrator.cli import demo_page
from orchestrator.cli.demo_follow import Glance, follow
from orchestrator.cli.demo_view import Picture, View
from orchestrator.cli.temporary import clean
from tests.worlds.environment import python_with

DOCS = Path(__file__).parents[1]
LOOK = DOCS.parent / "tests" / "integration" / "page"
SPEED = 5.0
WIDTH, HEIGHT = 116, 38
SHOWN = 0.7
"""Of the playing: then there are positions, and all sends."""
PAGE_HEIGHT = 1790
# Without the fonts that rich would fetch: a picture asks nobody for anything.
FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: system-ui, sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""


def main() -> None:
    """Write both pictures."""
    with demonstration.market(SPEED) as exchange:
        folder = Path(tempfile.mkdtemp(prefix="ntp-demo-"))
        try:
            run = demonstration.prepare(folder, exchange)
            app.ensure_controller(run.declared.settings)
            for _ in app.apply(run.declared, wait=False):
                pass
            seen = _watch(run, exchange)
        finally:
            clean(demonstration.settings(folder), folder)
    terminal, glance, heard = seen
    (DOCS / "demo.svg").write_text(terminal, encoding="utf-8")
    summary = glance.summary(run)
    page = demo_page.page(run, heard, summary, summary.failures, SPEED)
    _screenshot(page, DOCS / "demo.png")


def _watch(
    run: demonstration.Demonstration, exchange: demonstration.LocalExchange
) -> tuple[str, Glance, Transcript]:
    """Follow to the end; return the view of the middle, the last glance, and what was heard."""
    graph = past.graph(run.declared)
    kept = ""
    with listening(run.declared.settings, run.heard) as ears:
        view = View(run, graph, ears.heard, SPEED)
        for glance in follow(run, exchange, ears, ends=time.monotonic() + 120, notice=print):
            picture = view.picture(glance, time.monotonic())
            if not kept and (picture.played or 0.0) >= SHOWN * SECONDS:
                kept = _svg(picture)  # at once: its rates go on
            if glance.over and kept:
                return kept, glance, ears.heard
            time.sleep(0.25)
    sys.exit("the demo saw nothing")


def _svg(picture: Picture) -> str:
    console = Console(
        file=io.StringIO(), record=True, width=WIDTH, height=HEIGHT,
        force_terminal=True, color_system="truecolor",
    )  # fmt: skip
    console.print(picture)
    return console.export_svg(
        title="make demo", theme=MONOKAI, code_format=FORMAT, unique_id="demo"
    )


def _screenshot(page: str, file: Path) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        sys.exit("there is no chromium here\n  fix: apt-get install chromium")
    cache = DOCS.parent / ".pytest_cache" / "d" / "browser"
    cache.mkdir(parents=True, exist_ok=True)
    python = python_with(cache, LOOK / "playwright.txt")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "demo.html"
        source.write_text(page, encoding="utf-8")
        command = [
            python,
            LOOK / "look.py",
            browser,
            source.as_uri(),
            Path(folder) / "demo",
            str(PAGE_HEIGHT),
        ]
        subprocess.run(command, check=True, timeout=120, stdout=subprocess.DEVNULL)
        shutil.copyfile(Path(folder) / "demo-light.png", file)


if __name__ == "__main__":
    main()
