"""Where plugins are looked for, and what is said when they are not there."""

import os
import socket

import pytest

from ntp.confine import sandbox

pytestmark = pytest.mark.skipif(sandbox.best_tier() == 0, reason="no sandbox works here")


async def test_a_lone_file_in_plugin_dir_is_a_plugin(project):
    project.strategy("mine")
    artifact = await project.artifact("mine")
    assert (artifact.plugin, artifact.kind, artifact.version) == ("mine", "strategy", "1.0.0")
    assert artifact.entrypoint == "mine:Mine"
    assert artifact.origin == "plugins/mine.py"
    assert artifact.config_schema["properties"] == {"period": {"type": "integer"}}
    assert [path.name for path in artifact.code.iterdir()] == ["mine.py"]


async def test_dashes_and_underscores_name_the_same_plugin(project):
    project.package("my-plugin")
    assert (await project.artifact("my_plugin")).origin == "plugins/my-plugin"
    assert (await project.artifact("my-plugin")).plugin == "my_plugin"


async def test_a_file_with_dashes_can_be_imported_all_the_same(project):
    project.strategy("my-file")
    artifact = await project.artifact("my-file")
    assert artifact.entrypoint == "my_file:Mine"
    assert (artifact.code / "my_file.py").is_file()


async def test_plugin_dir_comes_before_what_is_bundled(project, tmp_path):
    bundled = project.package("twice", description="from bundled")
    bundled.rename(tmp_path / "bundled" / "twice")
    assert (await project.artifact("twice")).origin == "bundled/twice"
    project.strategy("twice")
    assert (await project.artifact("twice")).origin == "plugins/twice.py"


async def test_a_source_is_relative_to_the_file_that_names_it(project):
    project.write("../config/own/other.py", project.strategy("x").read_text())
    artifact = await project.artifact("mine", source="own/other.py", file="config/plugins.yaml")
    assert artifact.origin == "source: own/other.py"
    assert artifact.plugin == "other"


async def test_a_missing_plugin_lists_the_places(project):
    assert await project.problem("my-plan") == (
        "plugins.yaml:7:5: the plugin 'my-plan' was not found; looked for plugins/my-plan.py, "
        "plugins/my_plan.py, plugins/my-plan, plugins/my_plan, bundled/my-plan\n"
        "  fix: put it at plugins/my_plan.py, or add 'source: <file or folder>'"
    )


async def test_a_misspelt_plugin_is_recognised(project):
    project.strategy("bollinger_strategy")
    assert (await project.problem("bolinger_strategy")).endswith(
        "fix: did you mean 'bollinger_strategy'?"
    )


async def test_a_misspelt_source_is_recognised(project):
    project.strategy("mine")
    assert (await project.problem("mine", source="plugins/mien.py")).endswith(
        "fix: did you mean 'plugins/mine.py'?"
    )


@pytest.mark.parametrize("source", ["", " ", "a\0b", "x" * 5000])
async def test_a_source_that_is_no_path_is_a_problem(project, source):
    assert "source" in await project.problem("mine", source=source)


async def test_a_link_is_refused(project):
    project.strategy("real").rename(project.folder / "outside.py")
    (project.plugins / "linked.py").symlink_to(project.folder / "outside.py")
    assert "'linked.py' is a symbolic link" in await project.problem("linked")


async def test_a_dangling_link_is_refused_too(project):
    (project.plugins / "linked.py").symlink_to("nowhere")
    assert "'linked.py' is a symbolic link" in await project.problem("linked")


async def test_a_link_inside_a_folder_is_refused(project):
    folder = project.package("linked")
    (folder / "data").symlink_to("/etc")
    assert "'data' is a symbolic link" in await project.problem("linked")


async def test_a_linked_folder_is_refused(project):
    project.package("real").rename(project.folder / "outside")
    (project.plugins / "linked").symlink_to(project.folder / "outside")
    assert "'linked' is a symbolic link" in await project.problem("linked")


async def test_a_pipe_does_not_hold_the_reader_up(project):
    os.mkfifo(project.plugins / "piped.py")
    assert "'piped.py' is a named pipe" in await project.problem("piped")
    folder = project.package("folder")
    os.mkfifo(folder / "pipe")
    assert "'pipe' is a named pipe" in await project.problem("folder")


async def test_a_socket_is_refused(project, monkeypatch):
    folder = project.package("folder")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("door")
        assert "'door' is a socket" in await project.problem("folder")


async def test_a_huge_file_is_not_read(project):
    path = project.write("huge.py", "")
    os.truncate(path, 40 * 1024**2)
    assert "more than 32 MiB" in await project.problem("huge")


async def test_many_files_are_not_read(project):
    folder = project.package("many")
    for number in range(2001):
        (folder / f"f{number}").touch()
    assert "more than 2,000 files" in await project.problem("many")


async def test_a_deep_folder_is_not_entered(project):
    folder = project.package("deep")
    (folder / "/".join(["d"] * 20)).mkdir(parents=True)
    assert "nested deeper than 16" in await project.problem("deep")


@pytest.mark.parametrize("name", ["json", "numpy", "ntp", "asyncio"])
async def test_a_file_may_not_hide_a_module(project, name):
    project.strategy(name)
    assert f"would hide the module '{name}'" in await project.problem(
        "mine", source=f"plugins/{name}.py"
    )


async def test_a_folder_needs_a_manifest(project):
    project.write("bare/bare.py", "")
    assert "the folder 'plugins/bare' has no plugin.yaml" in await project.problem("bare")


async def test_a_manifest_must_bear_the_name_that_was_asked_for(project):
    project.package("one").rename(project.plugins / "two")
    assert "says that it is 'one', and 'two' was asked for" in await project.problem("two")
    assert (await project.artifact("mine", source="plugins/two")).plugin == "one"


async def test_mistakes_of_a_manifest_have_their_line(project):
    project.package("wrong", verison="1.0.0", requirements='["pandas", "-r x"]')
    _, problems = await project.catalog.resolve([project.wanted("wrong")])
    assert [(p.file, p.line, p.column, p.message.partition(":")[0]) for p in problems] == [
        ("plugins/wrong/plugin.yaml", 5, 1, "unknown field 'verison'"),
        ("plugins/wrong/plugin.yaml", 6, 26, "'-r x' is no requirement"),
    ]


async def test_a_manifest_that_is_no_yaml_is_a_problem(project):
    folder = project.package("wrong")
    (folder / "plugin.yaml").write_text("[" * 50_000)
    assert "plugins/wrong/plugin.yaml:1:" in await project.problem("wrong")


async def test_an_entrypoint_must_be_in_the_folder(project):
    folder = project.package("gone")
    (folder / "gone.py").unlink()
    problem = await project.problem("gone")
    assert problem.startswith("plugins/gone/plugin.yaml:4:1: the entrypoint's module 'gone'")


async def test_one_wrong_entry_does_not_hide_the_others(project):
    project.strategy("good")
    found, problems = await project.catalog.resolve(
        [project.wanted("absent"), project.wanted("good"), project.wanted("gone")]
    )
    assert list(found) == ["good"]
    assert [problem.entry for problem in problems] == ["absent", "gone"]
