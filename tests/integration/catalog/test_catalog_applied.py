"""What runs is what was applied: digests, copies, and having the same thing again."""

import os
import shutil
from pathlib import Path

import pytest

from ntp.confine import sandbox

pytestmark = pytest.mark.skipif(sandbox.best_tier() == 0, reason="no sandbox works here")

FIXTURES = Path(__file__).parents[2] / "fixtures" / "plugins"


async def test_the_users_own_strategy_is_understood(project):
    shutil.copy(FIXTURES / "user_bollinger.py", project.plugins / "bollinger_strategy.py")
    artifact = await project.artifact("bollinger_strategy")
    assert (artifact.kind, artifact.version) == ("strategy", "1.0.0")
    assert artifact.entrypoint == "bollinger_strategy:BollingerBandsStrategy"
    assert artifact.requirements == ("numpy",)
    assert artifact.config_schema["properties"] == {
        "period": {"type": "integer"},
        "std_dev": {"type": "number"},
        "position_size": {"type": "number"},
    }
    assert len((await project.catalog.prepare(artifact)).site) == 2


async def test_a_block_in_the_file_says_what_metadata_cannot(project):
    block = """\
        # /// script
        # requires-python = ">=3.11"
        # dependencies = ["numpy>=1.20"]
        # [tool.ntp]
        # egress = ["api.example.com:443"]
        # secrets = ["api_key"]
        # trading = {short = true, pyramid = 2}
        # ///
        from ntp import StrategyPlugin

        class Mine(StrategyPlugin):
            def analyze(self, data, history):
                return None
        """
    project.write("mine.py", block)
    artifact = await project.artifact("mine")
    assert artifact.requirements == ("numpy>=1.20",)
    assert artifact.egress == ("api.example.com:443",)
    assert artifact.secrets == ("api_key",)
    assert artifact.trading == {"short": True, "pyramid": 2, "risk": {}}
    project.write("mine.py", block.replace("secrets =", "secret ="))
    assert "unknown field 'secret'" in str(await project.unusable("mine"))
    project.write("mine.py", block.replace(">=3.11", ">=3.99"))
    assert "it needs Python >=3.99" in str(await project.unusable("mine"))


async def test_a_finite_source_says_so(project):
    project.write(
        "tape.py",
        """
        from ntp import DataSourcePlugin

        class Tape(DataSourcePlugin):
            finite = True

            async def stream(self):
                return
                yield
        """,
    )
    artifact = await project.artifact("tape", kind="data_source")
    assert (artifact.kind, artifact.finite) == ("data_source", True)


async def test_a_digest_is_of_content_and_of_nothing_else(project, project_at, tmp_path):
    folder = project.package("mine")
    before = await project.artifact("mine")
    os.utime(folder / "mine.py", (1, 1))
    (folder / "mine.py").chmod(0o755)
    for name in (
        "__pycache__/mine.cpython-311.pyc",
        ".git/HEAD",
        "tests/test_mine.py",
        "README.md",
    ):
        project.write(f"mine/{name}", "anything")
    copied = project.plugins / "elsewhere"
    shutil.copytree(folder, copied)
    elsewhere = project_at(tmp_path / "other-cache")
    again = await project.artifact("mine")
    copy = await elsewhere.artifact("mine", source="plugins/elsewhere")
    assert before.digest == again.digest == copy.digest
    project.write("mine/data.csv", "1")
    assert (await project.artifact("mine")).digest != before.digest


async def test_an_edit_changes_nothing_that_was_applied(project):
    file = project.strategy("mine")
    applied = await project.artifact("mine")
    file.write_text(file.read_text().replace("Mine", "Edited"))
    edited = await project.artifact("mine")
    assert edited.digest != applied.digest
    assert edited.entrypoint == "mine:Edited"
    file.unlink()
    again = await project.artifact("mine", pinned=applied.digest)
    assert again == applied
    assert "class Mine" in (again.code / "mine.py").read_text()


@pytest.mark.parametrize("name", ["0" * 64, "../../etc/passwd", "", "a/b"])
async def test_what_is_not_kept_cannot_be_pinned(project, name):
    project.strategy("mine")
    problem = await project.problem("mine", pinned=name)
    assert "is not in the cache any more" in problem
    assert "fix: apply again" in problem


async def test_an_altered_copy_is_not_what_was_applied(project_at, tmp_path):
    project = project_at(tmp_path / "cache")
    project.strategy("mine")
    artifact = await project.artifact("mine")
    copy = artifact.code / "mine.py"
    copy.chmod(0o644)
    copy.write_text("import os; os._exit(9)\n")
    assert "is not in the cache any more" in await project.problem("mine", pinned=artifact.digest)
    assert await project.artifact("mine") == artifact, "made again of the plugin's own file"
    assert "class Mine" in copy.read_text()


async def test_a_torn_record_is_not_what_was_applied(project_at, tmp_path):
    project = project_at(tmp_path / "cache")
    project.strategy("mine")
    artifact = await project.artifact("mine")
    record = project.cache / "artifacts" / f"{artifact.digest}.json"
    record.write_text(record.read_text().replace("mine:Mine", "mine:Evil"))
    assert "is not in the cache any more" in await project.problem("mine", pinned=artifact.digest)


async def test_a_description_is_asked_for_once(project_at, tmp_path):
    project = project_at(tmp_path / "cache")
    project.strategy("mine")
    await project.artifact("mine")
    (described,) = (project.cache / "described").iterdir()
    before = described.stat().st_mtime_ns
    await project.artifact("mine")
    assert described.stat().st_mtime_ns == before


async def test_many_entries_of_one_plugin_are_one_question(project):
    project.strategy("mine")
    names = [f"mine_{number}" for number in range(200)]
    found, problems = await project.catalog.resolve(
        [project.wanted(name, plugin="mine") for name in names]
    )
    assert (sorted(found), problems) == (sorted(names), [])
    assert len({id(artifact) for artifact in found.values()}) == 1
