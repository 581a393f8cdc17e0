"""What a plugin is run with: the SDK's own copies, and wheels locked by hash."""

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from ntp.confine import sandbox
from ntp.package.cache import Cache
from ntp.package.environment import Environments
from ntp.package.wheels import Pip
from orchestrator.errors import ActionError
from tests.worlds.environment import is_required

pytestmark = pytest.mark.skipif(sandbox.best_tier() == 0, reason="no sandbox works here")

FLAGS = ("-S", "-s", "-P", "-B")


def run(environment, code, *, python=None):
    """Run as a runtime would, but without its sandbox."""
    done = subprocess.run(
        [python or environment.python, *FLAGS, "-c", code],
        env={"PYTHONPATH": ":".join(map(str, environment.site)), "HOME": "/nonexistent"},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def shop(project_at, warm_cache, shelf):
    """A project whose registry is the shelf."""
    return project_at(warm_cache, pip=shelf.pip)


async def test_a_plugin_without_requirements_has_the_sdk_and_what_it_needs(project):
    project.strategy("mine")
    environment = await project.catalog.prepare(await project.artifact("mine"))
    code = "import ntp.plugin, nats, nkeys, msgspec, numpy, json, sys\n"
    code += "print(json.dumps([m.__file__ for m in (ntp, nats, nkeys, msgspec, numpy)] + sys.path))"
    files = json.loads(run(environment, code))
    roots = tuple(map(str, environment.site))
    assert all(file.startswith(roots) for file in files[:5])
    assert [
        path for path in files[5:] if not path.startswith((*roots, str(Path(sys.base_prefix))))
    ] == []
    assert not environment.python.is_symlink()
    assert not (environment.python.parent.parent / "pyvenv.cfg").exists()


async def test_only_what_runs_is_copied_and_all_of_it_is_compiled(project):
    project.strategy("mine")
    environment = await project.catalog.prepare(await project.artifact("mine"))
    names = {path.name for site in environment.site for path in site.iterdir()}
    assert {"ntp", "msgspec", "nats", "nkeys", "nacl", "numpy", "numpy.libs", "websockets"} <= names
    assert not names & {"pydantic", "yaml", "click", "orchestrator", "pip", "rich"}
    for site in environment.site:
        for source in site.rglob("*.py"):
            (compiled,) = source.parent.glob(f"__pycache__/{source.stem}.*.pyc")
            # Flags of PEP 552: a hash, and not to be checked.
            assert compiled.read_bytes()[4:8] == b"\x01\x00\x00\x00"


async def test_copies_are_read_only(project):
    project.strategy("mine")
    artifact = await project.artifact("mine")
    environment = await project.catalog.prepare(artifact)
    for folder in (artifact.code, *environment.site):
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert {path.stat().st_mode & 0o777 for path in files} == {0o444}
        folders = [path for path in folder.rglob("*") if path.is_dir()]
        assert {path.stat().st_mode & 0o777 for path in [folder, *folders]} == {0o755}


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="no Python of the system here")
async def test_the_systems_own_packages_are_not_seen(project):
    project.strategy("mine")
    environment = await project.catalog.prepare(await project.artifact("mine"))
    code = (
        "import ntp, sys; print(ntp.__file__); print([p for p in sys.path if 'dist-packages' in p])"
    )
    file, seen = run(environment, code, python="/usr/bin/python3").splitlines()
    assert Path(file).is_relative_to(environment.site[0])
    assert seen == "[]"


async def test_a_wheel_is_locked_by_hash_and_installed(shop, shelf):
    wheel = shelf.wheel("demo_lib", "1.2.0", {"demo_lib/__init__.py": "VALUE = 41\n"})
    shelf.wheel(
        "demo_needs", "2.0", {"demo_needs.py": "from demo_lib import VALUE\n"}, ["demo-lib>=1"]
    )
    file = shop.strategy("mine", ["demo-needs"])
    artifact = await shop.artifact("mine")
    environment = await shop.catalog.prepare(artifact)
    assert run(environment, "import demo_needs; print(demo_needs.VALUE + 1)") == "42"
    assert len(environment.site) == 3
    lock = file.with_suffix(".lock").read_text()
    assert f"demo-lib==1.2.0 --hash=sha256:{sha256_of(wheel)}\n" in lock
    assert "demo-needs==2.0 --hash=sha256:" in lock
    assert not re.search(r"https?://|file:|/tmp|/home", lock)


def sha256_of(path):
    from hashlib import sha256

    return sha256(path.read_bytes()).hexdigest()


async def test_making_the_lock_changes_no_digest(shop, shelf):
    shelf.wheel("demo_lib", "1.0", {"demo_lib.py": ""})
    shop.strategy("mine", ["demo-lib"])
    before = await shop.artifact("mine")
    await shop.catalog.prepare(before)
    assert (shop.plugins / "mine.lock").exists()
    assert await shop.artifact("mine") == before


async def test_what_was_prepared_needs_no_registry_again(shop, shelf, project_at):
    shelf.wheel("demo_lib", "1.0", {"demo_lib.py": ""})
    shop.strategy("mine", ["demo-lib"])
    artifact = await shop.artifact("mine")
    environment = await shop.catalog.prepare(artifact)
    shutil.rmtree(shelf.folder)
    assert await shop.catalog.prepare(artifact) == environment
    later = project_at(shop.cache, pip=Pip({}, timeout_s=0.001))
    assert await later.catalog.prepare(await later.artifact("mine")) == environment


async def test_a_lock_decides_even_when_there_is_something_newer(shop, shelf, project_at, tmp_path):
    shelf.wheel("demo_lib", "1.0", {"demo_lib.py": "V = 1"})
    shop.strategy("mine", ["demo-lib"])
    await shop.catalog.prepare(await shop.artifact("mine"))
    shelf.wheel("demo_lib", "2.0", {"demo_lib.py": "V = 2"})
    elsewhere = project_at(tmp_path / "other-cache", pip=shelf.pip)
    environment = await elsewhere.catalog.prepare(await elsewhere.artifact("mine"))
    assert run(environment, "import demo_lib; print(demo_lib.V)") == "1"


async def test_only_renewing_the_lock_takes_the_newer_one(shop, shelf):
    shelf.wheel("demo_lib", "1.0", {"demo_lib.py": "V = 1"})
    shop.strategy("mine", ["demo-lib"])
    first = await shop.artifact("mine")
    await shop.catalog.prepare(first)
    shelf.wheel("demo_lib", "2.0", {"demo_lib.py": "V = 2"})
    await shop.catalog.renew(first)
    second = await shop.artifact("mine")
    assert second.digest != first.digest
    for artifact, version in ((second, "2"), (first, "1")):
        environment = await shop.catalog.prepare(artifact)
        assert run(environment, "import demo_lib; print(demo_lib.V)") == version
    again = await shop.artifact("mine", pinned=first.digest)
    assert (again.digest, again.code) == (first.digest, first.code)


async def test_a_swapped_wheel_is_refused(shop, shelf, project_at, tmp_path):
    shelf.wheel("demo_lib", "1.0", {"demo_lib.py": "V = 1"})
    shop.strategy("mine", ["demo-lib"])
    await shop.catalog.prepare(await shop.artifact("mine"))
    shelf.wheel("demo_lib", "1.0", {"demo_lib.py": "V = 'evil'"})
    elsewhere = project_at(tmp_path / "other-cache", pip=shelf.pip)
    with pytest.raises(ActionError, match="another file under the same version") as caught:
        await elsewhere.catalog.prepare(await elsewhere.artifact("mine"))
    assert caught.value.reason == "RequirementsFailed"
    assert caught.value.permanent


async def test_changed_requirements_make_a_new_lock(shop, shelf):
    shelf.wheel("demo_lib", "1.0", {"demo_lib.py": ""})
    shelf.wheel("demo_more", "1.0", {"demo_more.py": ""})
    shop.strategy("mine", ["demo-lib"])
    await shop.catalog.prepare(await shop.artifact("mine"))
    shop.strategy("mine", ["demo-lib", "demo-more"])
    environment = await shop.catalog.prepare(await shop.artifact("mine"))
    run(environment, "import demo_lib, demo_more")
    lock = (shop.plugins / "mine.lock").read_text()
    assert "# requires: demo-more\n" in lock
    assert lock.count("demo-lib==") == 1


async def test_other_platforms_of_a_lock_are_kept(shop, shelf):
    shelf.wheel("demo_lib", "1.0", {"demo_lib.py": ""})
    shelf.wheel("demo_lib", "1.1", {"demo_lib.py": ""})
    other = f"# [cpython-399-other]\ndemo-lib==1.0 --hash=sha256:{'0' * 64}\n"
    shop.strategy("mine", ["demo-lib"])
    (shop.plugins / "mine.lock").write_text(f"# requires: demo-lib\n{other}")
    await shop.catalog.prepare(await shop.artifact("mine"))
    lock = (shop.plugins / "mine.lock").read_text()
    assert other in lock
    assert lock.count("demo-lib==1.0 ") == 2, "both machines run the same version"


async def test_a_folder_keeps_its_lock_inside(shop, shelf):
    shelf.wheel("demo_lib", "1.0", {"demo_lib.py": ""})
    folder = shop.package("packed", requirements="[demo-lib]")
    artifact = await shop.artifact("packed")
    await shop.catalog.prepare(artifact)
    assert (folder / "requirements.lock").exists()
    assert await shop.artifact("packed") == artifact


async def test_nothing_is_written_beside_a_bundled_plugin(shop, shelf, tmp_path):
    shelf.wheel("demo_lib", "1.0", {"demo_lib.py": ""})
    folder = shop.package("packed", requirements="[demo-lib]")
    folder = folder.rename(tmp_path / "bundled" / "packed")
    await shop.catalog.prepare(await shop.artifact("packed"))
    assert sorted(path.name for path in folder.iterdir()) == ["packed.py", "plugin.yaml"]


async def test_a_broken_lock_is_a_problem(shop):
    shop.strategy("mine", ["demo-lib"])
    (shop.plugins / "mine.lock").write_text("demo-lib==1.0; rm -rf /\n")
    problem = await shop.problem("mine")
    assert "the lock 'mine.lock' cannot be used: line 1 is" in problem
    assert "fix: delete mine.lock" in problem


async def test_what_the_sdk_has_already_is_not_fetched(project_at, warm_cache):
    project = project_at(warm_cache, pip=Pip({}, timeout_s=0.001))
    project.strategy("mine", ["numpy>=1.20", "ntp-sdk>=0.1", "nothing; python_version < '3'"])
    environment = await project.catalog.prepare(await project.artifact("mine"))
    assert len(environment.site) == 2
    assert not (project.plugins / "mine.lock").exists()


async def test_a_plugin_may_have_an_older_numpy(shop, shelf):
    shelf.wheel("numpy", "1.0", {"numpy/__init__.py": "__version__ = '1.0'"})
    shop.strategy("mine", ["numpy<2"])
    environment = await shop.catalog.prepare(await shop.artifact("mine"))
    assert run(environment, "import numpy; print(numpy.__version__)") == "1.0"


async def test_no_wheel_takes_the_place_of_the_sdk(shop, shelf):
    shelf.wheel(
        "demo_lib",
        "1.0",
        {
            "ntp/__init__.py": "raise SystemExit(9)",
            "demo_lib.py": "",
            "evil.pth": "import os; os._exit(9)\n",
            "sitecustomize.py": "import os; os._exit(9)\n",
        },
    )
    shop.strategy("mine", ["demo-lib"])
    environment = await shop.catalog.prepare(await shop.artifact("mine"))
    assert run(environment, "import ntp.plugin, demo_lib; print('fine')") == "fine"


@pytest.mark.parametrize(
    ("requirement", "message", "permanent"),
    [
        ("demo-absent", "No matching distribution found for demo-absent", False),
        ("demo-lib>=9", "No matching distribution found for demo-lib>=9", False),
        ("msgspec<0.1", "loosen the versions that exclude each other", True),
        ("ntp-sdk>=99", "the plugin needs ntp-sdk>=99", True),
    ],
)
async def test_what_cannot_be_had_is_said(shop, shelf, requirement, message, permanent):
    shelf.wheel("demo_lib", "1.0", {"demo_lib.py": ""})
    shelf.wheel("msgspec", "0.0.1", {"msgspec.py": ""})
    shop.strategy("mine", [requirement])
    with pytest.raises(ActionError) as caught:
        await shop.catalog.prepare(await shop.artifact("mine"))
    assert message in str(caught.value)
    assert (caught.value.reason, caught.value.permanent) == ("RequirementsFailed", permanent)
    assert not (shop.plugins / "mine.lock").exists()


async def test_a_source_distribution_is_never_built(shop, shelf, tmp_path):
    source = tmp_path / "demo_lib-1.0"
    source.mkdir()
    canary = tmp_path / "ran"
    # A build that needs nothing from a registry, so that only our own word stops it.
    (source / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbackend-path = ['.']\nbuild-backend = 'backend'\n"
    )
    (source / "backend.py").write_text(f"open({str(canary)!r}, 'w')\n")
    with tarfile.open(shelf.folder / "demo_lib-1.0.tar.gz", "w:gz") as archive:
        archive.add(source, "demo_lib-1.0")
    shop.strategy("mine", ["demo-lib"])
    with pytest.raises(ActionError, match="only wheels are installed"):
        await shop.catalog.prepare(await shop.artifact("mine"))
    assert not canary.exists()


async def test_a_registry_that_does_not_answer_is_named(project_at, warm_cache, shelf):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/simple"
        pip = Pip({"PIP_INDEX_URL": address, "PIP_CONFIG_FILE": os.devnull})
        project = project_at(warm_cache, pip=pip)
        project.strategy("mine", ["demo-lib"])
        with pytest.raises(ActionError, match="no package registry answered"):
            await project.catalog.prepare(await project.artifact("mine"))


async def test_a_registry_that_hangs_is_given_up(project_at, warm_cache):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        pip = Pip({"PIP_INDEX_URL": address, "PIP_CONFIG_FILE": os.devnull}, timeout_s=2)
        project = project_at(warm_cache, pip=pip)
        project.strategy("mine", ["demo-lib"])
        with pytest.raises(ActionError, match="pip took longer than 2 s"):
            await project.catalog.prepare(await project.artifact("mine"))


async def test_progress_is_told(project_at, warm_cache, shelf):
    told = []
    shelf.wheel("demo_lib", "1.0", {"demo_lib.py": "# installed by this test only"})
    project = project_at(
        warm_cache, pip=shelf.pip, progress=lambda plugin, line: told.append((plugin, line))
    )
    project.strategy("mine", ["demo-lib"])
    await project.catalog.prepare(await project.artifact("mine"))
    assert ("mine", "Installing collected packages: demo-lib") in told


async def test_one_environment_is_made_by_many_at_once(tmp_path):
    makers = [Environments(Cache(tmp_path), Pip(), lambda *_: None) for _ in range(4)]
    async with asyncio.TaskGroup() as tasks:
        made = [tasks.create_task(asyncio.to_thread(maker.bare)) for maker in makers]
    assert len({task.result().site for task in made}) == 1
    assert len(list((tmp_path / "env").iterdir())) == 2


async def test_a_half_made_environment_is_made_again(project_at, tmp_path):
    project = project_at(tmp_path / "cache")
    project.strategy("mine")
    environment = await project.catalog.prepare(await project.artifact("mine"))
    runtime = environment.site[-1].parent
    # As a maker leaves it that died in the middle.
    runtime.rename(runtime.with_name(f".{runtime.name}.dead"))
    shutil.rmtree(runtime.with_name(f".{runtime.name}.dead") / "site" / "msgspec")
    assert await project.catalog.prepare(await project.artifact("mine")) == environment
    run(environment, "import msgspec")
    assert not list(runtime.parent.glob(".*"))


async def test_a_declared_but_not_installed_module_is_no_hindrance(shop, shelf):
    shelf.wheel("demo_lib", "1.0", {"demo_lib.py": "class Base: pass\nSIZE = 3\n"})
    shop.write(
        "mine.py",
        """
        # /// script
        # dependencies = ["demo-lib"]
        # ///
        import demo_lib
        from demo_lib import SIZE
        from ntp import PluginMetadata, StrategyPlugin

        class Mine(demo_lib.Base, StrategyPlugin):
            def analyze(self, data, history):
                return None

            def get_metadata(self):
                schema = {"size": "int"} if SIZE == 3 else {}
                return PluginMetadata("Mine", "1.0.0", config_schema=schema)
        """,
    )
    guessed = await shop.artifact("mine")
    assert guessed.requirements == ("demo-lib",)
    await shop.catalog.prepare(guessed)
    known = await shop.artifact("mine")
    assert known.config_schema["properties"] == {"size": {"type": "integer"}}
    assert known.digest == guessed.digest


async def test_an_undeclared_module_is_named_with_the_cure(shop):
    shop.write("mine.py", "\nimport pandas\n")
    assert str(await shop.unusable("mine")) == (
        "plugins.yaml:7:5: plugins/mine.py: line 2: it imports 'pandas', which is not installed\n"
        "  fix: add 'pandas' to requirements"
    )


async def test_an_undeclared_module_beside_a_declared_one_is_named(shop):
    text = "# /// script\n# dependencies = ['pandas']\n# ///\nimport pandas\nimport scipy\n"
    shop.write("mine.py", text + shop.strategy("x").read_text())
    assert str(await shop.unusable("mine")).endswith("fix: add 'scipy' to requirements")


async def test_a_neighbour_of_a_lone_file_is_explained(shop):
    shop.write("shared.py", "")
    shop.write("mine.py", "import shared\n")
    assert "fix: put both files into a folder with a plugin.yaml" in str(
        await shop.unusable("mine")
    )


async def test_a_gone_code_copy_is_said(project_at, tmp_path):
    project = project_at(tmp_path / "cache")
    project.strategy("mine")
    artifact = await project.artifact("mine")
    missing = replace(artifact, code=artifact.code.with_name("0" * 64))
    with pytest.raises(ActionError, match="is not in the cache any more"):
        await project.catalog.prepare(missing)


@pytest.mark.network
async def test_a_real_registry_is_asked(project_at, warm_cache):
    if not is_required("network"):
        pytest.skip("NTP_REQUIRE=network has a package registry asked")
    project = project_at(warm_cache, pip=Pip(dict(os.environ)))
    project.strategy("mine", ["sortedcontainers>=2,<3"])
    environment = await project.catalog.prepare(await project.artifact("mine"))
    assert run(environment, "import sortedcontainers as s; print(s.SortedList([2, 1]))") == (
        "SortedList([1, 2])"
    )
