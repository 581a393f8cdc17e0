"""Alerts as whoever is on duty gets them: of plugins that are really killed and really crash."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.worlds.receiver import Receiver, receiving

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="limits by cgroup need root here"),
    pytest.mark.timeout(240),
]

FILE = """
plugins:
  data_sources:
    - name: replay_data
      config: {symbols: ["BTCUSDT"], speed: 0, loop: true}
  strategies:
    - name: allocates
      resources: {memory: 128MB, pids: 24}
    - name: crashes_sometimes
    - name: bollinger_strategy
"""
LOOP, OOM = ("crashes_sometimes", "CrashLoop"), ("allocates", "OOMKilled")


@pytest.fixture
def receiver():
    with receiving(Receiver()) as made:
        yield made


def controller(project) -> int:
    """Return the pid of the controller."""
    told = project.ntpctl("doctor").stdout
    return int(re.search(r"^controller +pid (\d+)", told, re.MULTILINE)[1])


def kill(project) -> None:
    pid = controller(project)
    os.kill(pid, signal.SIGKILL)
    ends = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.mark.long
def test_who_is_on_duty_is_told_once_over_restarts_and_told_when_it_is_over(project, receiver):
    project.environment |= {"NTP_WEBHOOK": receiver.url, "NTP_WEBHOOK_SECRET": "s3cret-of-ours"}
    project.declare(FILE)
    project.ntpctl("apply", "--no-wait")
    receiver.until(lambda _: {LOOP, OOM} <= set(receiver.reasons()), within=90)
    alerts = {(e["plugin"], e["reason"]): e for e in receiver.told if e["status"] == "firing"}
    assert re.search(r"limit 128 MiB, peak .*; raise resources\.memory", alerts[OOM]["text"])
    assert "the last: " in alerts[LOOP]["text"]
    assert "the spread was 0" in alerts[LOOP]["text"]
    assert alerts[OOM]["text"].startswith(f"{alerts[OOM]['project']}: allocates: OOMKilled: ")

    kill(project)
    project.ntpctl("apply", "--no-wait")
    before = project.status()["crashes_sometimes"]["restarts"]
    project.until(lambda status: status["crashes_sometimes"]["restarts"] > before)
    # By their ids: the one under way at the kill may have come twice.
    ids = {e["id"] for e in receiver.told if (e["plugin"], e["reason"]) in (LOOP, OOM)}
    assert len(ids) == 2
    assert not {LOOP, OOM} & set(receiver.reasons("resolved"))

    # Down while the receiver is: it is told as soon as it is back, by whichever controller runs then.
    with_port = receiver.port
    receiver.status = 503
    project.ntpctl("stop", "allocates", "crashes_sometimes")
    shown = project.until(lambda _: "AlertsDelivered" in project.ntpctl("status").stderr, within=30)
    assert shown["bollinger_strategy"]["ready"]
    said = project.ntpctl("status").stderr
    assert f"AlertsDelivered: NotAnswering: http://127.0.0.1:{with_port}: it answered 503" in said
    kill(project)
    receiver.status = 200
    project.ntpctl("apply", "--no-wait")
    receiver.until(lambda _: {LOOP, OOM} <= set(receiver.reasons("resolved")))
    over = [e for e in receiver.told if (e["status"], e["plugin"]) == ("resolved", "allocates")]
    assert {each["alert"] for each in over} == {
        e["alert"] for e in receiver.told if (e["status"], e["plugin"]) == ("firing", "allocates")
    }
    assert over[0]["message"] == "it was stopped by hand"

    said = "".join(
        project.ntpctl(*command).stdout + project.ntpctl(*command).stderr
        for command in (["status"], ["events"], ["doctor"], ["history", "--show", "1"])
    )
    log = next((project.folder / "state").glob("*/controller.log")).read_text()
    for secret in ("hunter2", "key=abc", "s3cret-of-ours"):
        assert secret not in said + log
