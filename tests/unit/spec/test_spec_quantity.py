from datetime import timedelta

import pytest

from ntp.bars import length
from orchestrator.spec import quantity

MIB = 1024**2


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("512MB", 512 * MIB),
        ("512M", 512 * MIB),
        ("512Mi", 512 * MIB),
        ("512MiB", 512 * MIB),
        ("512 mb", 512 * MIB),
        ("1.5GB", 1536 * MIB),
        ("64K", 65536),
        ("1T", 1024**4),
        ("100B", 100),
        ("100", 100),
        (4096, 4096),
    ],
)
def test_memory_is_read_the_way_people_write_it(written, size):
    assert quantity.memory(written) == size


@pytest.mark.parametrize(
    "written",
    ["", "MB", "512 megabytes", "-1MB", "1e3", "1PB", "0x10", True, None, 1.5, [], "\u0661MB"],
)
def test_what_is_no_size_is_refused_with_an_example(written):
    with pytest.raises(quantity.QuantityError, match="was") as refused:
        quantity.memory(written)
    assert "512MB" in refused.value.fix


def test_a_part_of_a_byte_is_no_size():
    with pytest.raises(quantity.QuantityError, match="no whole number of bytes"):
        quantity.memory("0.1KB")


def test_bounds_are_named_in_mebibytes():
    with pytest.raises(quantity.QuantityError, match="was '1MB', less than 16MiB"):
        quantity.memory("1MB", least=16 * MIB)
    with pytest.raises(quantity.QuantityError, match="was '3GB', more than 2048MiB"):
        quantity.memory("3GB", most=2048 * MIB)


@pytest.mark.parametrize(
    ("written", "cores"),
    [("0.5", 0.5), (0.5, 0.5), ("500m", 0.5), (2, 2.0), ("2", 2.0), (1e-3, 0.001)],
)
def test_cores_and_thousandths_of_cores(written, cores):
    assert quantity.cpu(written) == cores


@pytest.mark.parametrize(
    "written", ["half", "-1", "", True, None, "1e2", [], float("nan"), "0.5.5"]
)
def test_what_is_no_number_of_cores_is_refused(written):
    with pytest.raises(quantity.QuantityError, match="was"):
        quantity.cpu(written)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("30s", 30),
        ("30", 30),
        (30, 30),
        (0.5, 0.5),
        ("500ms", 0.5),
        ("2m", 120),
        ("2min", 120),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1m 5s", None),
        ("1d", 86400),
        ("1.5 h", 5400),
    ],
)
def test_lengths_of_time(written, seconds):
    if seconds is None:
        with pytest.raises(quantity.QuantityError):
            quantity.duration(written)
    else:
        assert quantity.duration(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "written",
    ["", "soon", "-3s", "3x", "s", True, None, [], "9" * 30, "1e9s", "99999d", "0.0000001s"],
)
def test_what_is_no_length_of_time_is_refused(written):
    with pytest.raises(quantity.QuantityError, match="was"):
        quantity.duration(written)


@pytest.mark.parametrize(
    "written", ["1s", "30s", "1m", "5m", "15m", "1h", "6h", "12h", "1d", "24h"]
)
def test_bars_are_those_that_the_plugin_side_reads(written):
    assert quantity.bars(written) == written
    assert length(written) > timedelta(0)


@pytest.mark.parametrize(
    "written", ["7m", "2d", "0s", "1w", "5 m", "5M", "", 5, None, "1m\n", "25h"]
)
def test_bars_that_the_plugin_side_would_refuse_are_refused_here(written):
    with pytest.raises(quantity.QuantityError):
        quantity.bars(written)
    if isinstance(written, str):
        with pytest.raises(ValueError, match="bars was"):
            length(written)


def test_a_value_is_shown_as_the_file_shows_it():
    assert quantity.shown(True) == "true"
    assert quantity.shown(None) == "empty"
    assert quantity.shown({}) == "an empty mapping"
    assert quantity.shown([1]) == "a list"
    assert quantity.shown("20") == "'20'"
    assert len(quantity.shown("x" * 1000)) < 70
    assert len(quantity.shown(10**300)) < 70
