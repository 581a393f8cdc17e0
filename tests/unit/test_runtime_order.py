import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.decide.state import Hashes
from orchestrator.launch import Environment, Launch
from orchestrator.runtime.process.order import Place, launch_folder, order
from orchestrator.spec.model import Detour, HostPort, Resources

MIB = 1 << 20
LAUNCH = Launch(
    project="demo",
    name="alpha",
    kind="strategy",
    generation=1,
    attempt=1,
    epoch=1,
    hashes=Hashes("", "", "", "", ""),
    spec=b"{}",
    argv=("-m", "ntp.runner", "/plugin/x"),
    environment=Environment(Path("/opt/python"), (Path("/cache/site"), Path("/cache/more")), "d"),
    code=Path("/cache/code"),
    files={
        "launch.json": b'{"code": "/plugin", "storage": "/storage", "config": {"a": "/plugin"}}'
    },
    resources=Resources(64 * MIB, 0.5, 16, MIB),
    storage=4 * MIB,
    egress=(HostPort("127.0.0.1", 4222), HostPort("api.example.org", 443)),
    private=(HostPort("127.0.0.1", 4222),),
)
PLACE = Place(
    group="demo-1.alpha",
    launch=Path("/state/run/alpha/launch"),
    scratch=Path("/state/run/alpha/scratch"),
    storage=Path("/state/storage/alpha"),
    uid=12345,
    tier=3,
    seccomp=None,
)


def test_a_host_that_leads_elsewhere_is_told_to_the_door_and_its_ca_to_the_plugin():
    assert order(LAUNCH, PLACE)[0]["detours"] == []
    assert "SSL_CERT_FILE" not in order(LAUNCH, PLACE)[0]["env"]
    led = replace(
        LAUNCH,
        detours=(Detour(HostPort("api.example.org", 443), HostPort("::1", 8443)),),
        files={**LAUNCH.files, "ca.pem": b"PEM"},
    )
    words, files = order(led, PLACE)
    assert words["detours"] == ["api.example.org:443=::1:8443"]
    assert words["env"]["SSL_CERT_FILE"] == "/run/ntp/ca.pem"
    assert files["ca.pem"] == b"PEM"
    assert order(led, replace(PLACE, tier=1))[0]["env"]["SSL_CERT_FILE"] == str(
        PLACE.launch / "ca.pem"
    )


def test_a_plugin_sees_its_own_view_and_its_limits_are_those_of_the_entry():
    words, files = order(LAUNCH, PLACE)
    assert words["argv"] == ["/opt/python", "-m", "ntp.runner", "/plugin/x"]
    assert words["env"]["PYTHONPATH"] == "/cache/site:/cache/more"
    assert words["env"]["NTP_LAUNCH"] == "/run/ntp"
    assert (words["egress"], words["private"]) == (
        ["127.0.0.1:4222", "api.example.org:443"],
        ["127.0.0.1:4222"],
    )
    policy = words["policy"]
    assert (policy["memory"], policy["cpu"], policy["pids"]) == (64 * MIB, 0.5, 16)
    assert [bind["target"] for bind in policy["binds"] if bind["writable"]] == [
        "/run/ntp/termination",
        "/storage",
    ]
    assert files == LAUNCH.files


def test_without_a_view_of_its_own_a_plugin_is_told_the_real_paths():
    words, files = order(LAUNCH, replace(PLACE, tier=1, uid=None))
    assert words["argv"][-1] == "/cache/code/x"
    assert words["code"] == "/cache/code"
    assert words["env"]["NTP_LAUNCH"] == "/state/run/alpha/launch"
    assert words["env"]["TMPDIR"] == "/state/run/alpha/scratch"
    told = json.loads(files["launch.json"])
    assert (told["code"], told["storage"]) == ("/cache/code", "/state/storage/alpha")
    assert told["config"] == {"a": "/plugin"}  # the user's own words


def test_nothing_of_the_controllers_environment_reaches_a_plugin(monkeypatch):
    monkeypatch.setenv("POLYGON_API_KEY", "canary")
    for launch in (LAUNCH, replace(LAUNCH, environment=None, argv=("/bin/true",))):
        words, _ = order(launch, PLACE)
        assert "canary" not in json.dumps(words)
        assert "LD_PRELOAD" not in words["env"]


def test_secrets_are_in_the_files_and_not_in_the_order():
    words, files = order(replace(LAUNCH, files={"bus.creds": b"canary"}), PLACE)
    assert "canary" not in json.dumps(words)
    assert files == {"bus.creds": b"canary"}


def test_a_system_instance_is_a_whole_command_with_limits_only_if_asked_for():
    launch = replace(LAUNCH, environment=None, argv=("/bin/broker", "-c", "x"), code=None)
    words, _ = order(launch, PLACE)
    assert (words["policy"], words["argv"]) == (None, ["/bin/broker", "-c", "x"])
    assert (words["group"], words["door"]) == ("demo-1.alpha", False)
    free, _ = order(replace(launch, resources=Resources(0, 0, 0, 0)), PLACE)
    assert free["group"] is None


def test_files_of_a_launch_go_to_memory_where_a_user_has_a_tmpfs(monkeypatch, tmp_path):
    if os.geteuid() == 0:
        monkeypatch.setenv("XDG_RUNTIME_DIR", "/dev/shm")
        assert launch_folder(tmp_path, "key") == tmp_path / "launch"  # a mount of its own follows
        pytest.skip("root mounts a tmpfs for each plugin")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/dev/shm")
    assert launch_folder(tmp_path, "key") == Path("/dev/shm/ntp-key")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/proc")
    assert launch_folder(tmp_path, "key") == tmp_path / "launch"
