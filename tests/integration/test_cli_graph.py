"""`graph` as a command: of what is applied, with states; of the files, where nothing is."""

import json

from tests.worlds.answering import Desk

FILE = """\
plugins:
  data_sources:
    - name: replay_data
      config: {symbols: [BTCUSDT]}
  strategies:
    - name: bollinger_strategy
      inputs: [{from: replay_data, bars: 5m}]
  executors: [{name: paper_executor}]
"""


async def test_graph_is_of_what_is_applied_not_of_the_file(real_desk):
    await real_desk.apply(FILE)
    (real_desk.folder / "plugins.yaml").write_text(
        "plugins: {data_sources: [{name: replay_data}]}\n"
    )
    found = json.loads((await real_desk.ntpctl("graph", "--format", "json")).stdout)
    run = await real_desk.ntpctl("graph")

    assert [*found] == ["project", "revision", "plugins", "edges"]
    assert [*found["plugins"][0]] == ["name", "kind", "plugin", "symbols", "state", "ready"]
    assert [*found["edges"][0]] == ["from", "to", "channel", "symbols", "bars", "policy"]
    assert found["revision"] == 1
    assert {each["name"]: each["state"] for each in found["plugins"]} == dict.fromkeys(
        ("replay_data", "bollinger_strategy", "paper_executor"), "Running"
    )
    assert [
        (each["from"], each["to"], each["channel"], each["bars"]) for each in found["edges"]
    ] == [
        ("replay_data", "bollinger_strategy", "data", "5m"),
        ("paper_executor", "bollinger_strategy", "fill", None),
        ("replay_data", "paper_executor", "data", None),
        ("bollinger_strategy", "paper_executor", "signal", None),
    ]
    assert "│ bollinger_strategy │◀─┒  │ paper_executor │" in run.stdout
    assert "bollinger_strategy  hears replay_data: bars 5m" in run.stdout
    assert "\x1b" not in run.stdout


async def test_graph_is_of_the_files_where_nothing_is_applied(tmp_path):
    (tmp_path / "other.yaml").write_text(FILE)
    (tmp_path / "bad.yaml").write_text("plugins: {strategies: [{name: nowhere}]}\n")
    nobody = Desk(tmp_path)
    run = await nobody.ntpctl("graph", "-f", "other.yaml")
    picture = await nobody.ntpctl("graph", "-f", "other.yaml", "--format", "svg")
    text = await nobody.ntpctl("graph", "-f", "other.yaml", "--format", "dot")
    bad = await nobody.ntpctl("graph", "-f", "bad.yaml", code=2)

    assert "│ replay_data │" in run.stdout
    assert run.stderr == "nothing is applied: this is what the files declare\n"
    assert picture.stdout.startswith("<svg ")
    assert text.stdout.startswith('digraph "desk" {')
    assert "the plugin 'nowhere' was not found" in bad.stderr
