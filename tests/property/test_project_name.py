"""The name of a project is found without reading its file, where that gives the same."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.spec import project_name
from orchestrator.spec.source import top_value

LINES = st.sampled_from(
    (
        "", "# a comment", "  # indented", "name: desk", "name: desk  # why", "name:  true", "name: a b",
        "name: 'desk'", "name: Desk", "name: a#b", "name: a: b", "name:", "name:desk", "name:\tdesk",
        "  more", "plugins:", "  name: inner", "---", "...", "- name: each", "{name: flow}", "? name",
        ": desk", "%YAML 1.1", "\tx", "names: desk", "&a name: desk", "desk", '"', "|",
    )
)  # fmt: skip


@given(st.lists(LINES, max_size=5), st.sampled_from(("\n", "\r\n")), st.booleans(), st.booleans())
def test_a_name_is_what_reading_the_whole_file_finds(lines, end, ends, marked):
    text = end.join(lines) + end * ends
    content = b"\xef\xbb\xbf" * marked + text.encode()
    found = project_name.in_file(content)
    if found is not None:
        assert found == top_value(content, "name")


def test_a_name_in_the_first_line_needs_no_reading():
    text = b"# mine\nname: desk  # of two\n\nplugins: {}\n"
    assert project_name._FIRST.match(text)[1] == b"desk"
