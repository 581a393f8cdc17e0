"""An image is written into plugins.yaml where the plugin runs, and nothing else is touched."""

from pathlib import Path

import pytest

from ntp.package.fault import PackageError
from ntp.package.pinning import pin

IMAGE = f"registry.example.com/desk/breakout:1.0.0@sha256:{'a' * 64}"
FILE = Path("project/config/plugins.yaml")


def pinned(text, path="project/strategies/breakout.py"):
    return pin(text, IMAGE, plugin="breakout", path=Path(path), file=FILE)


def test_a_source_gives_way_and_comments_quotes_and_widths_stay():
    before = """\
# the desk's own
plugins:
  strategies:
    -   name:   breakout   # mine
        source: "strategies/breakout.py"   # since March
        config: { period: 20,   std_dev: 2.0 }
    - name: other
      source: strategies/other.py
"""
    after, names = pinned(before)
    assert names == ["breakout"]
    assert after == before.replace('source: "strategies/breakout.py"', f"image: {IMAGE}")


def test_an_entry_without_a_source_is_known_by_its_plugin_and_may_be_there_twice():
    before = "plugins:\n  strategies:\n  - name: fast # one\n    plugin: breakout\n  - {name: breakout}\n"
    after, names = pinned(before)
    assert names == ["fast", "breakout"]
    assert after == (
        f"plugins:\n  strategies:\n  - name: fast # one\n    image: {IMAGE}\n    plugin: breakout\n"
        f'  - {{name: breakout, image: "{IMAGE}"}}\n'
    )


def test_an_image_of_before_is_replaced():
    before = "plugins:\n  strategies:\n  - name: breakout\n    image: registry.example.com/desk/breakout:0.9.0\n"
    after, _ = pinned(before)
    assert after == f"plugins:\n  strategies:\n  - name: breakout\n    image: {IMAGE}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("plugins: {strategies: [{name: other}]}\n", "has no entry that runs breakout"),
        ("plugins: [\n", "is no YAML"),
        ("", "has no entry"),
        (
            (
                "x-e: &e {source: strategies/breakout.py}\n"
                "plugins: {strategies: [{name: breakout, <<: *e}]}\n"
            ),
            "cannot be changed by itself",
        ),
    ],
)
def test_what_cannot_be_changed_is_told_with_the_line_to_write(text, words):
    with pytest.raises(PackageError, match=words) as refused:
        pinned(text)
    assert f"fix: write it by hand: image: {IMAGE}" in str(refused.value)
