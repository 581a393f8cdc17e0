"""An entry comes, changes and goes; every other byte of the file stays as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ConfigError
from orchestrator.spec import edit, source

ENTRY = {"name": "mine", "image": "localhost/mine:1.0.0@sha256:" + "a" * 64}
IMAGE = ENTRY["image"]

FILE = """\
# What trades here. Do not reorder!
name: "desk"

plugins:
  data_sources:
    - name: binance_data     # the feed
      config: {symbols: [BTCUSDT,   ETHUSDT]}

  strategies:
    # the old one
    - name: 'bollinger_strategy'
      enabled: yes_it_is     # quoted on purpose
      config:
        period: 20   # days
    - {name: momentum_strategy, config: {lookback: 14}}   # short

  # executors follow
  executors:
  - name: paper_executor
defaults: {resources: {memory: 64MB}}
"""


def _add(text, section="strategies"):
    return edit.add(text.encode(), section, ENTRY, file="plugins.yaml").decode()


def test_an_entry_is_added_behind_the_last_of_its_section():
    found = _add(FILE)
    new = f"    - name: mine\n      image: {IMAGE}\n"
    assert found == FILE.replace("# short\n", f"# short\n{new}")
    indentless = _add(FILE, "executors")
    new = f"  - name: mine\n    image: {IMAGE}\n"
    assert indentless == FILE.replace("- name: paper_executor\n", f"- name: paper_executor\n{new}")


def test_a_section_is_made_where_it_is_missing():
    found = _add(FILE, "indicators")
    new = f"  indicators:\n    - name: mine\n      image: {IMAGE}\n"
    assert found == FILE.replace("- name: paper_executor\n", f"- name: paper_executor\n{new}")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "plugins:\n  strategies:\n    - name: mine\n      image: {}\n"),
        ("name: desk", "name: desk\nplugins:\n  strategies:\n    - name: mine\n      image: {}\n"),
        (
            "plugins:  # none yet\ndefaults: {}\n",
            "plugins:  # none yet\n  strategies:\n    - name: mine\n      image: {}\ndefaults: {}\n",
        ),
        (
            "plugins:\n  strategies: []  # none yet\n",
            "plugins:\n  strategies:  # none yet\n    - name: mine\n      image: {}\n",
        ),
        (
            "plugins:\n  strategies:\n  executors: []\n",
            "plugins:\n  strategies:\n    - name: mine\n      image: {}\n  executors: []\n",
        ),
        (
            "plugins:\n  strategies: [{name: a}, {name: b}]\n",
            "plugins:\n  strategies: [{name: a}, {name: b}, {name: mine, image: {}}]\n",
        ),
        (
            "plugins:\n  strategies:\n    - name: a",
            "plugins:\n  strategies:\n    - name: a\n    - name: mine\n      image: {}\n",
        ),
        (
            "plugins:\r\n  strategies:\r\n    - name: a\r\n",
            "plugins:\r\n  strategies:\r\n    - name: a\r\n    - name: mine\r\n      image: {}\r\n",
        ),
    ],
)
def test_every_way_to_write_a_section(text, wanted):
    assert _add(text) == wanted.replace("image: {}", f"image: {IMAGE}")


@pytest.mark.parametrize(
    "text",
    [
        "plugins: {strategies: [{name: a}]}\n" * 2,  # a key twice
        "plugins: {executors: [{name: a}]}\n",
        "plugins: {}\n",
        "x: &a [{name: a}]\nplugins:\n  strategies: *a\n",
        "plugins:\n  strategies:\n    - name: a\n      description: |\n        text\n",
        "plugins:\n  strategies: [{name: a},]\n",
        "- a\n",
    ],
)
def test_where_it_cannot_be_done_nothing_is_and_the_lines_are_told(text):
    with pytest.raises(ConfigError) as refused:
        _add(text)
    assert "plugins.yaml" in str(refused.value)


def test_a_value_is_changed_in_its_place_and_an_entry_goes():
    text = _add(FILE)
    path = ["plugins", "strategies", 2, "image"]
    other = IMAGE.replace("1.0.0", "1.1.0")
    changed = edit.change(text.encode(), path, other, file="f").decode()
    assert changed == text.replace(IMAGE, other)
    assert edit.remove(text.encode(), path[:-1], file="f").decode() == FILE
    alone = edit.remove(FILE.encode(), ["plugins", "executors", 0], file="f").decode()
    assert alone == FILE.replace("executors:\n  - name: paper_executor\n", "executors: []\n")


@given(
    before=st.lists(st.sampled_from(["a", "b_c", "d-e"]), unique=True, max_size=3),
    comments=st.lists(st.sampled_from(["", "# x\n", "\n", "    # y\n"]), min_size=4, max_size=4),
    section=st.sampled_from(["strategies", "executors"]),
)
def test_what_was_there_is_there_and_added_then_removed_is_the_same_file(before, comments, section):
    lines = ["plugins:\n", "  strategies:\n" if before else "  strategies: []\n"]
    for name, comment in zip(before, comments, strict=False):
        lines += [comment, f"    - name: {name}\n      config: {{}}\n"]
    lines += [comments[3], "  executors:\n    - name: z\n"]
    text = "".join(lines).encode()
    found = edit.add(text, section, ENTRY, file="f")
    old, new = (source.parse(each, file="f").value["plugins"] for each in (text, found))
    assert new[section] == [*old[section], ENTRY]
    again = edit.remove(found, ["plugins", section, len(old[section])], file="f")
    assert again == text


OWN = """plugins:
  strategies:
    # about a
    - name: a
      config:
        x: 1
        # y: 2

      # z: 3
    # about b
    - name: b
      # image: old
    # the end of the list
  executors: []
"""


def test_comments_inside_of_an_entry_stay_with_it():
    new = f"    - name: mine\n      image: {IMAGE}\n"
    assert _add(OWN) == OWN.replace("# image: old\n", f"# image: old\n{new}")
    first = edit.remove(OWN.encode(), ["plugins", "strategies", 0], file="f").decode()
    gone = OWN[OWN.index("    - name: a") : OWN.index("    # about b")]
    assert first == OWN.replace(gone, "")
    second = edit.remove(OWN.encode(), ["plugins", "strategies", 1], file="f").decode()
    assert second == OWN.replace("    - name: b\n      # image: old\n", "")
    one = OWN.replace(gone, "").replace("    # about a\n    # about b\n", "")
    none = edit.remove(one.encode(), ["plugins", "strategies", 0], file="f").decode()
    assert none == "plugins:\n  strategies: []\n    # the end of the list\n  executors: []\n"


@pytest.mark.parametrize("begin", ["plugins:\n  strategies:\n    - name: a\n", ""])
def test_a_byte_order_mark_stays(begin):
    data = b"\xef\xbb\xbf" + begin.encode()
    added = edit.add(data, "strategies", ENTRY, file="f")
    assert added == b"\xef\xbb\xbf" + _add(begin).encode()
    changed = edit.change(added, ["plugins", "strategies", -1, "image"], "x:1", file="f")
    assert changed.startswith(b"\xef\xbb\xbfplugins:")
    assert edit.remove(added, ["plugins", "strategies", 0], file="f").startswith(b"\xef\xbb\xbf")
