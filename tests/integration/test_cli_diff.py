"""`diff` as a command: texts of revisions and files, and what differs for each plugin."""

import json

BUNDLED = """\
plugins:
  data_sources: [{name: replay_data}]
  strategies:
    - name: bollinger_strategy
      config: {period: 20}
  executors: [{name: paper_executor}]
"""
EDITED = BUNDLED.replace("period: 20", "period: 30").replace(
    "[{name: replay_data}]", "[{name: replay_data}, {name: more, plugin: replay_data}]"
)


async def test_diff_of_two_revisions_is_a_text_and_a_list_of_plugins(real_desk):
    await real_desk.apply(BUNDLED)
    await real_desk.apply(EDITED)
    run = await real_desk.ntpctl("diff", "1", "2", code=6)
    found = json.loads((await real_desk.ntpctl("diff", "2", "1", "-o", "json", code=6)).stdout)

    text, _, plugins = run.stdout.partition("\n\n")
    assert text.splitlines()[:2] == [
        "--- plugins.yaml\trevision 1",
        "+++ plugins.yaml\trevision 2",
    ]
    assert "-      config: {period: 20}\n+      config: {period: 30}\n" in text
    told = [" ".join(line.split()) for line in plugins.splitlines()]
    assert told == [
        "~ change bollinger_strategy now listens to more, config.period 20 -> 30",
        "+ add more",
        "~ change paper_executor bollinger_strategy hears more too, now listens to more",
    ]
    assert [(each["name"], each["do"]) for each in found["plugins"]] == [
        ("bollinger_strategy", "change"),
        ("more", "remove"),
        ("paper_executor", "change"),
    ]
    assert (
        await real_desk.ntpctl("diff", "1", "1")
    ).stdout == "nothing differs between revision 1 and revision 1\n"


async def test_diff_is_by_default_what_was_edited_since_the_last_apply(real_desk):
    file = real_desk.folder / "plugins.yaml"
    file.write_text(BUNDLED)
    await real_desk.apply(BUNDLED)
    same = await real_desk.ntpctl("diff")
    assert same.stdout == "nothing differs between revision 1 and the files as they are\n"

    await real_desk.apply(EDITED)
    since = await real_desk.ntpctl("diff", code=6)
    assert since.stdout.startswith("--- plugins.yaml\trevision 2\n+++ plugins.yaml\tthe files as")
    await real_desk.apply(BUNDLED)

    file.write_text(BUNDLED + "# a word")
    words = await real_desk.ntpctl("diff", code=6)
    assert words.stdout.endswith(
        "+# a word\n\\ No newline at end of file\n\nno plugin differs: the text alone\n"
    )


async def test_diff_compares_texts_also_where_plugins_cannot_be_compared(real_desk):
    await real_desk.apply(BUNDLED)
    (real_desk.folder / "plugins.yaml").write_text(BUNDLED.replace("replay_data", "nowhere"))
    run = await real_desk.ntpctl("diff", code=6)
    assert "+  data_sources: [{name: nowhere}]\n" in run.stdout
    assert "no plugin differs" not in run.stdout
    assert "what differs for each plugin is not known" in run.stderr
    assert "the plugin 'nowhere' was not found" in run.stderr


async def test_diff_sees_an_edited_plugin_behind_the_same_text(real_desk):
    plugin = real_desk.folder / "plugins" / "mine"
    plugin.mkdir(parents=True)
    (plugin / "plugin.yaml").write_text(
        "name: mine\nversion: 1.0.0\nkind: strategy\nentrypoint: mine:Mine\n"
    )
    (plugin / "mine.py").write_text("A = 1\n")
    text = "plugins: {strategies: [{name: mine}]}\n"
    (real_desk.folder / "plugins.yaml").write_text(text)
    await real_desk.apply(text)
    assert (await real_desk.ntpctl("diff", PLUGIN_DIR="plugins")).returncode == 0

    (plugin / "mine.py").write_text("A = 2\n")
    run = await real_desk.ntpctl("diff", code=6, PLUGIN_DIR="plugins")
    assert run.stdout.split()[:4] == ["~", "change", "mine", "code"]
