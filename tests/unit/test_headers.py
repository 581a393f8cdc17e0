"""Headers of messages, as nats-server writes them and as anybody may."""

import pytest

from ntp.headers import parsed


@pytest.mark.parametrize(
    ("block", "found"),
    [
        pytest.param(b"NATS/1.0\r\n\r\n", {}, id="none"),
        pytest.param(b"NATS/1.0\r\nA: b\r\nC:d\r\n\r\n", {"A": "b", "C": "d"}, id="plain"),
        pytest.param(b"NATS/1.0 503\r\n\r\n", {"Status": "503"}, id="status"),
        pytest.param(
            b"NATS/1.0 404 No Messages\r\n\r\n",
            {"Status": "404", "Description": "No Messages"},
            id="what-it-means",
        ),
        pytest.param(
            b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 1016\r\n\r\n",
            {"Status": "100", "Description": "Idle Heartbeat", "Nats-Last-Consumer": "1016"},
            id="status-and-lines",
        ),
        pytest.param(b"NATS/1.0\r\nA: b: c\r\n\r\n", {"A": "b: c"}, id="colon-in-a-value"),
        pytest.param(b"NATS/1.0\r\nA:\t b \r\n\r\n", {"A": "b"}, id="blanks"),
        pytest.param(b"NATS/1.0\r\nA b: c\r\nno line\r\n: d\r\n\r\n", {}, id="no-names"),
        pytest.param(b"NATS/1.0\r\n\xff: a\r\nA: \xff\r\n\r\n", {"A": "�"}, id="no-text"),
        pytest.param(b"NATS/1.0 \xff\xff\xff\r\n\r\n", {}, id="status-of-no-text"),
    ],
)
def test_headers(block, found):
    assert parsed(block) == found


@pytest.mark.parametrize("block", [b"", b"A: b\r\n\r\n"])
def test_no_headers(block):
    with pytest.raises(ValueError, match="first line"):
        parsed(block)
