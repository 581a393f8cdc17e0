"""What a plugin's process left is read as lines that no terminal obeys, whatever way it is written."""

import json
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ntp.examination.left import claim, printable

ODD = st.sampled_from([" ", "  ", '"', "\\", "\t", "\n", "\x1b[2J", "\u202e", "\u00a0", "\u3000", "\ufeff", "n", "BTC", "é"])  # fmt: skip
TEXT = st.lists(ODD, max_size=4).map("".join)
DOCUMENT = st.recursive(
    TEXT | st.integers(-5, 5) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(DOCUMENT, st.booleans(), st.sampled_from([None, 1]))
def test_each_text_of_a_claim_is_one_printable_line(document, ascii_only, indent):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "claim.json")
        for text in (
            json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode(),
            msgspec.json.encode(document),
        ):
            file.write_bytes(text)
            assert claim(file, Any) == printable(document)
