from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ntp.contract.names import Kind
from ntp.engine.risk import Limits
from orchestrator.errors import ConfigError
from orchestrator.spec import load
from orchestrator.spec.model import Artifact, HostPort, Input, Place, Resources, SecretRef

MIB = 1024**2
USERS_FILE = Path(__file__).parents[3] / "config" / "examples" / "exchanges.yaml"


def read(*texts, **environment):
    named = [(f"{at}.yaml", text) for at, text in enumerate(texts)]
    return load.read(named, environment=environment, project="desk")


def problems(*texts, **environment):
    with pytest.raises(ConfigError) as refused:
        read(*texts, **environment)
    return refused.value.problems


def artifact(wanted, **other):
    given = {"config_schema": {"type": "object"}, "egress": (), "secrets": (), "trading": {}}
    return Artifact(
        plugin=wanted.plugin,
        kind=wanted.kind,
        version="1.0.0",
        digest=f"sha256:{wanted.plugin}",
        entrypoint="module:Class",
        requirements=(),
        code=Path("nowhere"),
        origin="bundled",
        **(given | other),
    )


def resolve(text, environment=None, **other):
    declared = load.read([("0.yaml", text)], environment=environment or {}, project="desk")
    found = {each.name: artifact(each, **other) for each in declared.wanted()}
    return load.resolve(declared, found, revision=7)


def refusals(text, **other):
    with pytest.raises(ConfigError) as refused:
        resolve(text, **other)
    return refused.value.problems


def test_the_users_own_file_is_read_unchanged():
    text = USERS_FILE.read_text()
    declared = load.read([("plugins.yaml", text)], environment={}, project="desk")
    assert [(e.name, e.kind, e.plugin) for e in declared.entries.values()] == [
        ("binance_data", Kind.DATA_SOURCE, "binance_data"),
        ("polygon_data", Kind.DATA_SOURCE, "polygon_data"),
        ("bollinger_strategy", Kind.STRATEGY, "bollinger_strategy"),
        ("momentum_strategy", Kind.STRATEGY, "momentum_strategy"),
    ]
    desired = load.resolve(declared, {w.name: artifact(w) for w in declared.wanted()}, revision=1)
    binance, polygon = desired.plugins["binance_data"], desired.plugins["polygon_data"]
    assert binance.egress == (HostPort("stream.binance.com", 9443),)
    assert binance.config["symbols"] == ["BTCUSDT", "ETHUSDT"]
    assert polygon.secrets == {
        "config.api_key": SecretRef("env", "POLYGON_API_KEY", Place("plugins.yaml", 8, 16))
    }
    assert polygon.config["api_key"] == "${POLYGON_API_KEY}"
    assert desired.plugins["bollinger_strategy"].config == {
        "period": 20,
        "std_dev": 2.0,
        "position_size": 0.02,
    }


def test_what_nobody_says_has_the_defaults_of_the_contract():
    desired = resolve(
        "plugins:\n  strategies: [{name: a}]\n  executors: [{name: b}]\n  data_sources: [{name: c}]\n"
    )
    a, b, c = (desired.plugins[name] for name in "abc")
    assert a.resources == Resources(memory=512 * MIB, cpu=1.0, pids=64, tmp=16 * MIB)
    assert (a.timeout, a.history, a.storage) == (timedelta(seconds=30), 1000, 0)
    assert (a.capital, a.short, a.pyramid, a.sandbox) == (Decimal(10000), False, 1, True)
    assert b.storage == 64 * MIB
    assert (c.storage, c.egress, c.inputs) == (0, (), ())
    assert (desired.project, desired.revision) == ("desk", 7)


def test_everything_that_an_entry_may_say():
    desired = resolve(
        """
name: night_desk
plugins:
  data_sources:
    - name: feed
      config: {symbols: [A, B]}
      network: {egress: ["example.com:443"]}
      secrets: {key: "env:FEED_KEY", token: {file: keys/token}}
  strategies:
    - name: fast
      plugin: momentum
      source: ../mine/momentum.py
      version: "1.0.0"
      inputs:
        - {from: feed, symbols: [A], bars: 5m}
      history: 50
      resources: {memory: 1GiB, cpu: 250m, pids: 20, tmp: 1MB}
      storage: 10MB
      timeout: 2m
      capital: 2500.50
      short: true
      pyramid: 3
      replicas: 1
      update: recreate
      restart: always
"""
    )
    feed, fast = desired.plugins["feed"], desired.plugins["fast"]
    assert desired.project == "desk"  # settings.find has decided between option, `name:` and folder
    assert feed.secrets["key"] == SecretRef("env", "FEED_KEY", Place("0.yaml", 8, 17))
    assert feed.secrets["token"] == SecretRef("file", "keys/token", Place("0.yaml", 8, 38))
    assert feed.egress == (HostPort("example.com", 443),)
    assert (fast.name, fast.plugin, fast.place) == ("fast", "momentum", Place("0.yaml", 10, 7))
    assert fast.inputs == (Input("feed", ("A",), "5m"),)
    assert fast.resources == Resources(memory=1024 * MIB, cpu=0.25, pids=20, tmp=MIB)
    assert (fast.history, fast.storage, fast.timeout) == (50, 10 * MIB, timedelta(minutes=2))
    assert (fast.capital, fast.short, fast.pyramid) == (Decimal("2500.5"), True, 3)


def test_wanted_asks_the_catalog():
    declared = read(
        "plugins:\n  strategies:\n    - {name: a, plugin: b, source: c.py, version: '2'}\n"
    )
    (wanted,) = declared.wanted({"a": "sha256:old"})
    assert (wanted.name, wanted.kind, wanted.plugin) == ("a", "strategy", "b")
    assert (wanted.source, wanted.version, wanted.pinned) == ("c.py", "2", "sha256:old")
    assert wanted.place == Place("0.yaml", 3, 7)


def test_defaults_serve_where_the_field_acts_and_an_entry_wins():
    desired = resolve(
        """
defaults: {resources: {memory: 64MB, pids: 9}, history: 5, capital: 7, timeout: 1s, storage: 2MB}
plugins:
  data_sources: [{name: a}]
  strategies:
    - {name: b, resources: {pids: 10}, history: 6}
    - {name: c}
"""
    )
    a, b, c = (desired.plugins[name] for name in "abc")
    assert a.resources == Resources(memory=64 * MIB, cpu=1.0, pids=9, tmp=16 * MIB)
    assert b.resources == Resources(memory=64 * MIB, cpu=1.0, pids=10, tmp=16 * MIB)
    assert (a.capital, b.capital, a.history, b.history, c.history) == (10000, 7, 1000, 6, 5)
    assert (a.timeout, a.storage) == (timedelta(seconds=1), 2 * MIB)


def test_the_environment_speaks_before_the_contract_and_after_the_file():
    environment = {
        "PLUGIN_MAX_MEMORY": "256MB",
        "PLUGIN_TIMEOUT": "10",
        "PLUGIN_SANDBOX": "false",
    }
    text = "plugins:\n  strategies: [{name: a}, {name: b, resources: {memory: 64MB}, timeout: 5}]\n"
    desired = resolve(text, environment)
    a, b = desired.plugins["a"], desired.plugins["b"]
    assert (a.resources.memory, a.timeout) == (256 * MIB, timedelta(seconds=10))
    assert (b.resources.memory, b.timeout) == (64 * MIB, timedelta(seconds=5))
    assert not a.sandbox


def test_a_mistake_in_the_environment_is_a_problem_like_any_other():
    found = problems(
        "plugins: {}", PLUGIN_MAX_MEMORY="lots", PLUGIN_TIMEOUT="1d", PLUGIN_SANDBOX="perhaps"
    )
    assert [problem.file for problem in found] == ["environment"] * 3
    assert "PLUGIN_MAX_MEMORY was 'lots'" in found[0].message


@pytest.mark.parametrize("size", ["1MB", "100TB"])
def test_memory_from_the_environment_has_the_bounds_of_an_entrys(size):
    assert f"was '{size}', " in problems("plugins: {}", PLUGIN_MAX_MEMORY=size)[0].message


def gathered(*texts, **other):
    named = [(f"{at}.yaml", text) for at, text in enumerate(texts)]
    declared, found = load.gather(named, environment={}, project="desk", **other)
    return list(declared.entries), [(each.file, each.message) for each in found]


def test_an_entry_whose_mistake_lies_elsewhere_is_still_checked_further():
    assert gathered(
        "plugins:\n  strategies:\n"
        "    - {name: limits, resources: {memory: 5 apples}}\n"
        "    - {name: unknown, conifg: {}}\n"
        "    - {name: wrong, config: 5}\n"
        "    - {name: placeless, source: 5}\n"
        "    - {name: deaf, inputs: [{from: nobody}]}\n"
        "    - {name: off, enabled: maybe}\n"
        "    - {name: good}\n"
    )[0] == ["limits", "deaf", "good"]


def test_a_file_that_cannot_be_read_hides_no_problem_of_another_and_makes_none():
    good = "plugins:\n  strategies:\n    - {name: a, inputs: [{from: b}], history: -1}\n"
    names, found = gathered("plugins: [\n", good)
    assert names == ["a"]
    assert [file for file, _ in found] == ["0.yaml", "1.yaml"]
    assert "no entry is called 'b'" in str(gathered(good))
    assert "no entry is called 'b'" not in str(found)
    assert gathered("name: desk\n", complete=False)[1] == []


def test_several_files_add_up():
    declared = read(
        "name: desk\ndefaults: {timeout: 5s}\n",
        "plugins:\n  data_sources: [{name: a}]\n",
        "name: desk\nplugins:\n  strategies: [{name: b, inputs: [a]}]\n",
    )
    assert list(declared.entries) == ["a", "b"]
    assert declared.defaults == {"timeout": timedelta(seconds=5)}
    assert [file for file, _ in declared.sources] == ["0.yaml", "1.yaml", "2.yaml"]


def test_files_that_contradict_each_other_are_refused():
    found = problems(
        "name: one\ndefaults: {timeout: 5s, resources: {cpu: 1}}\nplugins: {}\n",
        "name: two\ndefaults: {timeout: 6s, resources: {cpu: 2, pids: 9}}\n",
    )
    assert [(p.file, p.line, p.message) for p in found] == [
        ("1.yaml", 1, "the project was named 'one' in 0.yaml"),
        ("1.yaml", 2, "'timeout' is already set in 0.yaml:2"),
        ("1.yaml", 2, "'cpu' is already set in 0.yaml:2"),
    ]


def test_all_problems_of_all_files_are_told_at_once():
    found = problems("plugins: [", "plugins:\n  strategies: [{nam: a, timeout: x}]\n", "- a")
    assert [problem.file for problem in found] == ["0.yaml", "1.yaml", "1.yaml", "2.yaml"]


def test_16_mib_is_for_all_files_together():
    half = "plugins: {}\n#" + "x" * (9 * MIB)
    assert "all files together" in problems(half, half)[0].message


def test_a_disabled_entry_is_as_if_it_were_not_there_but_its_mistakes_are_told():
    declared = read("plugins:\n  strategies: [{name: a, enabled: false}, {name: b}]\n")
    assert list(declared.entries) == ["b"]
    assert declared.disabled == ("a",)
    assert problems("plugins:\n  strategies: [{name: a, enabled: false, timeout: x}]\n")


def test_no_file_and_no_plugins_are_no_desired_state():
    # An empty file must not stop everything that runs.
    for text in ("", "# nothing\n", "name: desk\n", "plugins:\n", "x-a: 1\n"):
        assert problems(text)
    with pytest.raises(ConfigError):
        load.read([], environment={}, project="desk")
    assert read("plugins: {}\n").entries == {}


def test_sections_that_are_commented_out_are_empty():
    assert read("plugins:\n  strategies:\n    # - name: a\n").entries == {}


def test_keys_that_begin_with_x_are_the_users_own():
    declared = read(
        "x-small: &small {memory: 64MB}\nplugins:\n  strategies: [{name: a, resources: *small}]\n"
    )
    assert declared.entries["a"].fields["resources"] == {"memory": 64 * MIB}


def test_a_default_wiring_that_grows_with_the_square_is_refused():
    names = [f"- {{name: s{at}}}" for at in range(1100)]
    text = "plugins:\n  data_sources:\n" + "\n".join(f"    {name}" for name in names)
    text += "\n  strategies:\n" + "\n".join(f"    {name.replace('s', 't')}" for name in names)
    assert "connections" in problems(text)[0].message


def test_every_kind_reaches_the_hosts_of_its_urls_and_manifest_unless_its_entry_says_which():
    config = "config: {url: 'https://a.example/x', more: ['ws://b.example:81', 'ftp://c.example']}"
    desired = resolve(
        "plugins:\n"
        f"  data_sources: [{{name: a, {config}}}]\n"
        f"  strategies: [{{name: b, {config}}}]\n"
        f"  executors: [{{name: c, {config}, network: {{egress: ['d.example:1']}}}}]\n",
        egress=("e.example:2",),
    )
    a, b, c = (desired.plugins[name].egress for name in "abc")
    assert set(map(str, a)) == {"a.example:443", "b.example:81", "e.example:2"}
    assert b == a
    assert c == (HostPort("d.example", 1),)


def test_an_empty_list_of_hosts_closes_the_door():
    text = "plugins:\n  data_sources: [{name: a, network: {egress: []}}]\n"
    assert resolve(text, egress=("e.example:2",)).plugins["a"].egress == ()


def test_a_manifest_cannot_ask_for_an_address_that_is_never_handed_out():
    (problem,) = refusals("plugins:\n  data_sources: [{name: a}]\n", egress=("169.254.169.254:80",))
    assert "never handed out" in problem.message


@pytest.mark.parametrize(
    "host", ["localhost", "x.localhost", "127.0.0.1", "10.0.0.5", "192.168.1.1", "100.64.0.1"]
)
def test_only_the_user_opens_this_machine_and_its_own_network(host):
    (problem,) = refusals("plugins:\n  data_sources: [{name: a}]\n", egress=(f"{host}:22",))
    assert f"'{host}:22', which is this machine or its own network" in problem.message
    assert "network: {egress: [host:port]}" in problem.fix
    text = f"plugins:\n  data_sources: [{{name: a, network: {{egress: ['{host}:22']}}}}]\n"
    assert resolve(text, egress=(f"{host}:22",)).plugins["a"].egress == (HostPort(host, 22),)


def test_an_authors_advice_comes_after_the_users_word():
    advice = {"capital": "500", "short": True, "pyramid": None}
    text = "plugins:\n  strategies: [{name: a}, {name: b, short: false, capital: 1}]\n"
    desired = resolve(text, trading=advice)
    a, b = desired.plugins["a"], desired.plugins["b"]
    assert (a.capital, a.short, a.pyramid) == (500, True, 1)
    assert (b.capital, b.short) == (1, False)


def test_limits_are_those_of_the_entry_then_of_defaults_then_advised_each_by_itself():
    text = """
defaults: {risk: {max_daily_loss: 2.50 %, max_orders_per_minute: 5}}
plugins:
  strategies: [{name: a}, {name: b, risk: {max_position: 5.0e3, max_daily_loss: 1000}}]
"""
    advice = {"risk": {"max_position": Decimal("99.5"), "max_orders_per_minute": 1}}
    plugins = resolve(text, trading=advice).plugins
    assert plugins["a"].risk == {
        "max_position": "99.5", "max_daily_loss": "2.5%", "max_orders_per_minute": 5,
    }  # fmt: skip
    assert plugins["b"].risk == {
        "max_position": "5000", "max_daily_loss": "1000", "max_orders_per_minute": 5,
    }  # fmt: skip
    for spec in plugins.values():
        assert not Limits.of(spec.risk).none


def test_the_limits_of_an_executor_are_its_own_alone():
    text = """
defaults: {risk: {max_daily_loss: 2%}}
plugins:
  executors: [{name: paper}, {name: other, risk: {max_position: 7}}]
"""
    more = "plugins:\n  data_sources: [{name: src}]\n  strategies: [{name: st}]\n"
    plugins = resolve(text.replace("plugins:\n", more)).plugins
    assert (plugins["paper"].risk, plugins["other"].risk) == ({}, {"max_position": "7"})
    assert plugins["st"].risk == {"max_daily_loss": "2%"}
    assert plugins["src"].risk == {}


def test_a_plugin_that_nobody_found_is_a_problem_of_its_entry():
    declared = read("plugins:\n  strategies: [{name: a}]\n")
    with pytest.raises(ConfigError) as refused:
        load.resolve(declared, {}, revision=1)
    assert refused.value.problems[0].entry == "a"


def test_a_secret_in_plain_text_is_refused_and_not_repeated():
    (problem,) = refusals(
        "plugins:\n  data_sources: [{name: a, config: {api_key: hunter2}}]\n", secrets=("api_key",)
    )
    assert "hunter2" not in str(problem)
    assert "api_key: ${API_KEY}" in problem.fix


def test_names_of_secrets_are_checked():
    schema = {"type": "object", "properties": {"api_key": {}}, "additionalProperties": False}
    found = refusals(
        "plugins:\n  data_sources:\n"
        "    - {name: a, secrets: {api_kay: env:A, config.x: env:B}}\n"
        "    - {name: b, config: {api_key: '${C}'}, secrets: {api_key: env:A}}\n",
        config_schema=schema,
    )
    assert [problem.message for problem in found] == [
        "'a' has no secret 'api_kay'",
        "'config.x' begins with 'config.', as the names of ${VAR} do",
        "'api_key' stands under 'config' and under 'secrets'",
    ]
    assert found[0].fix == "did you mean 'api_key'?"


def test_a_secret_satisfies_what_the_schema_requires():
    schema = {
        "type": "object",
        "properties": {"api_key": {"type": "string", "minLength": 32}},
        "required": ["api_key"],
        "additionalProperties": False,
    }
    for line in ("secrets: {api_key: env:A}", "config: {api_key: '${A}'}"):
        desired = resolve(
            f"plugins:\n  data_sources: [{{name: a, {line}}}]\n", config_schema=schema
        )
        assert len(desired.plugins["a"].secrets) == 1
    assert refusals("plugins:\n  data_sources: [{name: a}]\n", config_schema=schema)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "entry",
    ["{name: %s, timeout: x}", "{nam: %s}", "{name: %s, inputs: [no_such]}", "{name: s, x: %s}"],
)
def test_of_thousands_of_mistakes_the_first_thousand_are_told(entry):
    lines = "\n".join(f"    - {entry % f's{at}'}" for at in range(5_000))
    found = problems(f"plugins:\n  strategies:\n{lines}\n")
    assert 1_000 <= len(found) <= 2_002
    assert found[-1].line > 500


@pytest.mark.timeout(60)
@pytest.mark.parametrize("count", [40_000, 100_000])
def test_a_wide_mapping_of_unknown_fields_is_refused_in_time(count):
    found = problems("\n".join(f"k{at}: 1" for at in range(count)))
    if count > load.HOPELESS:
        assert [problem.message for problem in found] == ["the file has 100,000 mistakes"]
    else:
        assert found[0].message == "39,000 more problems than are shown"
        assert (found[1].line, found[-1].line) == (1, 1_000)
