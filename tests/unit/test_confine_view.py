import os
import sys

import pytest

from ntp.confine.policy import MIB, Bind, ConfineError, Policy
from ntp.confine.view import interpreter, seen, synthetic


def make_python(prefix, name="python3.11"):
    (prefix / "bin").mkdir(parents=True)
    (prefix / "lib").mkdir()
    program = prefix / "bin" / name
    program.write_bytes(b"")
    return program


def test_the_systems_python_needs_nothing_more():
    assert interpreter("/bin/sh") == ((), ())


def test_an_interpreter_elsewhere_is_shown_at_its_own_path(tmp_path):
    python = make_python(tmp_path / "pyenv")
    binds, links = interpreter(str(python))
    assert [bind.target for bind in binds] == [str(python), f"{tmp_path}/pyenv/lib"]
    assert all(bind.source == bind.target and not bind.writable for bind in binds)
    assert links == ()


def test_a_virtual_environment_is_shown_whole_with_the_real_interpreter(tmp_path):
    real = make_python(tmp_path / "pyenv")
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text("")
    (venv / "bin" / "python").symlink_to("python3")
    (venv / "bin" / "python3").symlink_to(real)
    binds, links = interpreter(str(venv / "bin" / "python"))
    assert [bind.target for bind in binds] == [str(real), f"{tmp_path}/pyenv/lib", str(venv)]
    assert links == ()  # they lie in what is shown


def test_a_link_outside_of_what_is_shown_is_made_again(tmp_path):
    make_python(tmp_path / "opt")
    link = tmp_path / "python"
    link.symlink_to("opt/bin/python3.11")
    _, links = interpreter(str(link))
    assert links == (("opt/bin/python3.11", str(link)),)


def test_this_interpreter_can_be_shown():
    binds, _ = interpreter(sys.executable)
    shown = [bind.target for bind in binds] + ["/usr"]
    assert any(os.path.realpath(sys.executable).startswith(top) for top in shown)


@pytest.mark.parametrize("name", ["nothing", "loop"])
def test_a_missing_interpreter_is_named(tmp_path, name):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ConfineError, match="there is no program at"):
        interpreter(str(tmp_path / name))


def test_below_tier_2_a_plugin_finds_its_binds_at_their_sources():
    policy = Policy(
        name="x",
        memory=MIB,
        cpu=1,
        pids=1,
        tmp=MIB,
        binds=(Bind("/srv/run", "/run/ntp"), Bind("/srv/end", "/run/ntp/termination")),
        scratch="/srv/scratch",
    )
    assert seen(policy, 3, "/run/ntp/launch.json") == "/run/ntp/launch.json"
    assert seen(policy, 1, "/run/ntp/launch.json") == "/srv/run/launch.json"
    assert seen(policy, 1, "/run/ntp/termination") == "/srv/end"
    assert seen(policy, 0, "/tmp/x") == "/srv/scratch/x"
    assert seen(policy, 1, "/run/ntpx") == "/run/ntpx"


def test_the_synthetic_files_name_nobody_of_the_host():
    files = synthetic(20_001, 20_002)
    assert files["/etc/passwd"].startswith("plugin:x:20001:20002:")
    assert "root" not in "".join(files.values())
    assert files["/etc/resolv.conf"] == ""
