"""Names at the door, while the name server hangs."""

import threading

from ntp.confine.door_names import RESOLVERS, WAITING, Names


def test_names_that_wait_are_bounded_however_long_the_resolver_hangs():
    go, begun = threading.Event(), threading.Semaphore(0)

    def hang(host, port):
        begun.release()
        go.wait(30)
        return [(2, "192.0.2.1")], 0, ""

    names = Names(hang)
    try:
        for number in range(RESOLVERS):
            assert names.ask(number, "a.example", 1)
            assert begun.acquire(timeout=10)
        taken = [names.ask(number, "a.example", 1) for number in range(WAITING + 5)]
        assert taken == [True] * WAITING + [False] * 5
    finally:
        go.set()
    found = 0
    while found < RESOLVERS + WAITING:
        found += len(names.answers())
    assert names.ask("again", "a.example", 1)
