"""The pictures of README are small, are shown there, and ask nobody for anything."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("name", "start"), [("demo.svg", b"<svg "), ("demo.png", b"\x89PNG")])
def test_a_picture_is_small_and_shown(name, start):
    picture = (ROOT / "docs" / name).read_bytes()

    assert picture.startswith(start)
    assert len(picture) < 300_000
    assert f"](docs/{name})" in (ROOT / "README.md").read_text()


def test_the_terminal_needs_no_font_of_anybody_else_and_says_synthetic():
    text = (ROOT / "docs" / "demo.svg").read_text()

    assert re.findall(r"https?://[^\"]*", text) == ["http://www.w3.org/2000/svg"]
    assert "@font-face" not in text
    assert "synthetic" in text
