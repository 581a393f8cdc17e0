"""A plugin file is a stranger's program: whatever it does when it is looked at, this much happens."""

import os
import stat
import sys
from pathlib import Path

import pytest

from ntp.confine import sandbox
from orchestrator.catalog.extraction import Limits

pytestmark = pytest.mark.skipif(sandbox.best_tier() == 0, reason="no sandbox works here")

CLASS = """
from ntp import StrategyPlugin

class Mine(StrategyPlugin):
    def analyze(self, data, history):
        return None
"""


def below_entry(unusable, message):
    problem = str(unusable)
    assert problem.startswith("plugins.yaml:7:5: plugins/bad.py: "), problem
    assert message in problem
    assert "\n  fix: " in problem
    assert "Traceback" not in problem


@pytest.fixture
def limited(project_at, warm_cache):
    return lambda deadline_s: project_at(
        warm_cache, limits=Limits(deadline_s=deadline_s, memory=128 * 1024**2)
    )


@pytest.fixture
def impatient(limited):
    return limited(2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("while True: pass", "its import did not end within 2 s"),
        ("import time; time.sleep(60)", "its import did not end within 2 s"),
        ("x = bytearray(1024**3)", "memory"),
        ("x = []\nwhile True: x.append(bytearray(1024**2))", "memory"),
        ("import os; os._exit(0)", "its import ended the program with code 0"),
        ("import os; os._exit(7)", "its import ended the program with code 7"),
        ("import sys; sys.exit('no')", "line 1: its import ended the program (sys.exit)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ended with signal 9"),
        ("import ctypes; ctypes.string_at(0)", "ended with signal 11"),
        ("while True: print('x' * 100_000)", "its import wrote more than 512 KiB"),
        ("\n\n1 / 0", "line 3: its import raised ZeroDivisionError: division by zero"),
        ("def x(:", "line 1: it is not Python: invalid syntax"),
        ("x = " + "(" * 10_000, "it is not Python"),
        ("x = " + "-" * 100_000 + "1", "it is not Python"),
        ("x = 'a\0b'", "it is not Python"),
        ("raise KeyboardInterrupt", "its import raised KeyboardInterrupt"),
        ("raise Exception('a\\nb' * 1000)", "its import raised Exception: a ba ba"),
        ("class E(Exception):\n  def __str__(self): raise self\nraise E", "its import"),
        ("x = 1", "bad.py defines no plugin class"),
        ("from ntp import StrategyPlugin", "bad.py defines no plugin class"),
        (CLASS.replace("analyze", "analyse"), "the class Mine does not implement analyze()"),
        (CLASS + "class Other(Mine): pass", "bad.py defines 2 plugin classes: Mine and Other"),
        ("from ntp import BasePlugin\nclass A(BasePlugin): pass", "A extends BasePlugin only"),
        (CLASS + "    def get_metadata(self): return None", "get_metadata() returned NoneType"),
        (CLASS + "    def get_metadata(self): return self.config['a']", "raised KeyError: 'a'"),
        (CLASS + "    async def get_metadata(self): pass", "get_metadata() returned coroutine"),
        (CLASS + "    def get_metadata(self):\n        while True: pass", "did not end within 2 s"),
    ],
)
async def test_what_cannot_be_read_is_a_problem_at_the_entry(limited, text, message):
    # A busy machine needs more than two seconds for what ends by itself.
    project = limited(2 if "2 s" in message else 30)
    project.write("bad.py", text)
    below_entry(await project.unusable("bad"), message)


async def test_a_fork_bomb_ends_with_its_sandbox(impatient):
    impatient.write("bad.py", "import os\nwhile True:\n    os.fork()\n")
    below_entry(await impatient.unusable("bad"), "its import ")
    assert not _running("bad.py")


async def test_a_child_left_behind_holds_nobody_up(impatient):
    impatient.write("bad.py", "import os, time\nif os.fork() == 0: time.sleep(600)\n" + CLASS)
    assert (await impatient.artifact("bad")).kind == "strategy"
    assert not _running("bad.py")


def _running(word):
    """Whether a process has the word on its command line."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (folder / "cmdline").read_bytes():
                return True
        except OSError:
            continue
    return False


@pytest.mark.parametrize(
    "look",
    [
        "open('{secret}').read()",
        "open('/etc/shadow').read()",
        "__import__('os').listdir('{folder}')",
        "open('{folder}/pwned', 'w').write('x')",
        "open(__file__, 'a').write('x')",
        "open(__import__('ntp').__file__, 'a').write('x')",
        "__import__('socket').create_connection(('127.0.0.1', 22), 1)",
        "__import__('socket').getaddrinfo('example.com', 80)",
        "__import__('os').environ['NTP_TEST_CANARY']",
        "__import__('os').kill({pid}, 0)",
        "open('/proc/{pid}/environ').read()",
        "__import__('subprocess').run(['/bin/mount', '-t', 'tmpfs', 'x', '/mnt'], check=True)",
    ],
)
async def test_a_file_sees_and_changes_nothing_of_the_host(impatient, monkeypatch, look):
    monkeypatch.setenv("NTP_TEST_CANARY", "canary")
    secret = impatient.folder / "secret"
    secret.write_text("canary")
    look = look.format(secret=secret, folder=impatient.folder, pid=os.getpid())
    before = _everything(impatient.folder)
    impatient.write("bad.py", f"SEEN = {look}\n" + CLASS)
    below_entry(await impatient.unusable("bad"), "line 1: its import raised ")
    (impatient.plugins / "bad.py").unlink()
    assert _everything(impatient.folder) == before


def _everything(folder):
    return {
        path: path.read_bytes() if path.is_file() else stat.S_IFMT(path.lstat().st_mode)
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("answer", ["{}", "[", "[" * 100_000, '{"manifest": 5}', "null", "NaN"])
async def test_a_forged_answer_gains_nothing(impatient, answer):
    forge = f"""
    import os
    for fd in range(3, 64):
        try:
            os.write(fd, {answer.encode()!r})
        except OSError:
            pass
    os._exit(0)
    """
    impatient.write("bad.py", forge)
    below_entry(await impatient.unusable("bad"), "")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("entrypoint", "os:system"),
        ("entrypoint", "../x:Y"),
        ("kind", "controller"),
        ("version", "../../../etc"),
        ("name", "../../etc"),
        ("egress", ["*:*"]),
    ],
)
async def test_a_forged_field_is_checked_as_any_other(impatient, field, value):
    import json

    fields = {
        "version": "1.0.0",
        "kind": "strategy",
        "entrypoint": "bad:Mine",
        "config_schema": {},
        "finite": False,
        field: value,
    }
    answer = json.dumps(
        {"manifest": fields, "requirements": [], "requires_python": "", "table": {}}
    )
    impatient.write("bad.py", f"import os\nos.write(3, {answer.encode()!r})\nos._exit(0)\n")
    if field == "name":
        assert (await impatient.artifact("bad")).plugin == "bad"
    else:
        below_entry(await impatient.unusable("bad"), "")


async def test_what_a_file_prints_is_no_answer(impatient):
    impatient.write("loud.py", "print('{}', flush=True)\n" + CLASS + "print('[1, 2')")
    assert (await impatient.artifact("loud")).kind == "strategy"


async def test_files_that_python_runs_by_itself_are_not_run(impatient):
    for name in ("sitecustomize.py", "usercustomize.py", "evil.pth"):
        impatient.write(name, "import os; os._exit(9)")
    impatient.write("good.py", CLASS)
    assert (await impatient.artifact("good")).kind == "strategy"


async def test_nothing_is_imported_here(impatient):
    impatient.write("only_there.py", CLASS + "import fractions, colorsys\n")
    before = set(sys.modules)
    await impatient.artifact("only_there")
    assert not {name for name in set(sys.modules) - before if name in {"only_there", "colorsys"}}


async def test_a_constructor_is_not_run_for_a_description(impatient):
    impatient.write(
        "lazy.py",
        CLASS
        + """
    def __init__(self, config):
        raise RuntimeError("no market today")

    def get_metadata(self):
        from ntp import PluginMetadata
        return PluginMetadata("Lazy", "2", config_schema={"period": int})
""",
    )
    artifact = await impatient.artifact("lazy")
    assert artifact.version == "2.0.0"
    assert artifact.config_schema["properties"] == {"period": {"type": "integer"}}


async def test_a_hostile_schema_of_a_lone_file_is_refused(impatient):
    impatient.write(
        "bad.py",
        CLASS
        + """
    def get_metadata(self):
        from ntp import PluginMetadata
        schema = {"type": "object", "$ref": "http://127.0.0.1/"}
        return PluginMetadata("x", "1.0.0", config_schema=schema)
""",
    )
    below_entry(await impatient.unusable("bad"), "'$ref' was 'http://127.0.0.1/'")


async def test_what_json_cannot_hold_is_named(impatient):
    impatient.write(
        "bad.py",
        CLASS
        + """
    def get_metadata(self):
        from ntp import PluginMetadata
        return PluginMetadata("x", "1.0.0", config_schema={"type": "object", "default": {1, 2}})
""",
    )
    below_entry(await impatient.unusable("bad"), "what JSON cannot hold")


async def test_no_sandbox_means_no_reading(project_at, warm_cache):
    impossible = 2 if os.geteuid() == 0 else 3
    project = project_at(warm_cache, limits=Limits(tier=impossible))
    project.write("bad.py", "# never read\n" + CLASS)
    below_entry(await project.unusable("bad"), "no sandbox to read it in")
