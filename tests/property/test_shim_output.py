"""Output of a plugin is untrusted bytes: nothing that it prints harms a terminal, a disk or us."""

import errno
import os
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from ntp.confine import shim_end, shim_files, shim_output
from ntp.confine.shim_output import BURST_BYTES, FILE_BYTES, LINE_BYTES, LogFiles, Output, harmless

CHUNKS = st.lists(st.binary(max_size=200) | st.sampled_from([b"\n", b"x" * 20_000, b"\xc3"]))


def test_output_goes_on_when_there_was_no_room_for_a_new_file(tmp_path, monkeypatch):
    """The full file is written on, and turned when there is room again."""
    files = LogFiles(str(tmp_path))
    real = os.open

    def full(path, *rest):
        raise OSError(errno.ENOSPC, "no space", path)

    files.write(b"a" * FILE_BYTES)
    monkeypatch.setattr(os, "open", full)
    files.write(b"lost\n")
    monkeypatch.setattr(os, "open", real)
    files.write(b"kept\n")
    files.write(b"too\n")
    files.close()
    assert files.lost == 5
    assert (tmp_path / "log").read_bytes() == b"kept\ntoo\n"
    assert (tmp_path / "log.1").stat().st_size == FILE_BYTES


class Kept(LogFiles):
    """Keeps the records in memory."""

    def __init__(self):
        self.lost = 0
        self.records = b""

    def write(self, records):
        self.records += records

    def texts(self, stream):
        parts = [record.split(b" ", 3) for record in self.records.splitlines()]
        return [(tag, text.decode()) for _, name, tag, text in parts if name == stream]


def printed(chunks):
    files = Kept()
    output = Output(files, 0.0)
    for chunk in chunks:
        output.feed("stdout", chunk, 0.0)
    output.finish()
    return files, output


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.text(st.characters(max_codepoint=0xA0)).map(str.encode)
)
def test_no_control_character_survives(data):
    text = harmless(data)
    kinds = {unicodedata.category(char) for char in text} - {"Cf", "Cn", "Co"}
    assert "Cc" not in {unicodedata.category(char) for char in text if char not in "\t\n"}
    assert not kinds & {"Zl", "Zp", "Cs"}
    assert not set(text) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\x9b\x1b")


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_ordinary_text_stays_as_it_is(text):
    assert harmless(text.encode()) == text


@given(CHUNKS)
def test_every_whole_line_is_kept_whatever_the_chunks(chunks):
    files, _ = printed(chunks)
    found = "".join(text + ("\n" if tag == b"F" else "") for tag, text in files.texts(b"stdout"))
    whole = b"".join(chunks)
    if whole and not whole.endswith(b"\n"):
        whole += b"\n"
    lines = [
        "".join(harmless(line[at : at + LINE_BYTES]) for at in range(0, len(line), LINE_BYTES))
        for line in whole.split(b"\n")
    ]
    assert found.split("\n") == lines


@given(CHUNKS)
def test_no_record_is_longer_than_a_line_may_be(chunks):
    files, output = printed(chunks)
    assert all(len(text.encode()) <= 3 * LINE_BYTES for _, text in files.texts(b"stdout"))
    assert len(output.last) <= shim_output.LAST_LINES


def test_a_line_without_end_is_written_while_it_comes():
    files = Kept()
    output = Output(files, 0.0)
    for _ in range(20):
        output.feed("stdout", b"x" * 20_000, 0.0)
    assert sum(len(text) for _, text in files.texts(b"stdout")) > 20 * 20_000 - LINE_BYTES


@given(st.lists(st.tuples(st.integers(1, 600), st.floats(0, 0.1)), min_size=1, max_size=60))
def test_what_is_written_is_bounded_by_the_budget_and_what_is_dropped_is_counted(writes):
    files = Kept()
    output = Output(files, 0.0)
    now, sent = 0.0, 0
    for kilobytes, pause in writes:
        now += pause
        data = (b"x" * 1023 + b"\n") * kilobytes
        wait = output.feed("stdout", data, now)
        sent += kilobytes
        assert 0 <= wait <= 1
    output.finish()
    kept = len(files.texts(b"stdout"))
    notes = [text for _, text in files.texts(b"ntp") if text.startswith("dropped")]
    dropped = sum(int(text.split()[1]) for text in notes)
    assert kept + dropped == sent
    assert kept * 1024 <= BURST_BYTES + now * shim_output.BUDGET_BYTES_S + 1


def test_two_files_hold_the_newest_lines_and_not_more(tmp_path):
    files = LogFiles(str(tmp_path))
    line = b"x" * 999 + b"\n"
    for _ in range(3500):
        files.write(line)
    files.close()
    sizes = [(tmp_path / name).stat().st_size for name in (shim_files.LOG, shim_files.LOG_BEFORE)]
    assert max(sizes) <= FILE_BYTES
    assert sum(sizes) > FILE_BYTES


def test_a_full_disk_loses_output_and_says_so_later():
    files = Kept()
    output = Output(files, 0.0)
    files.lost = 77
    output.feed("stdout", b"after\n", 2.0)
    assert any("lost 77 bytes" in text for _, text in files.texts(b"ntp"))


@given(st.binary(max_size=3000) | st.binary(max_size=300).map(lambda data: b"Timeout (" + data))
def test_any_last_words_are_read_without_harm(words):
    reason, message, permanent = shim_end.last_words(words, "/plugin")
    assert reason in {"", "CallbackTimeout"}
    assert message == harmless(message.encode())
    assert not permanent
