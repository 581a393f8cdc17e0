"""docs/errors.md has every word that the program can show, and no other; its examples are real."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from orchestrator.decide.actions import Action
from orchestrator.errors import ConflictError, UnreachableError

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "errors.md").read_text()
FIXTURES = ROOT / "tests" / "fixtures" / "invalid"
WORD = re.compile(r"(?:[A-Z]+[a-z]+)+\Z")
NO_REASON = {
    # names in the code that are no state, reason, condition or event
    *("BasePlugin", "DataSourcePlugin", "IndicatorPlugin", "StrategyPlugin", "ExecutorPlugin"),
    *("MarketData", "TradingSignal", "SignalType", "Fill", "History", "PermanentError"),
    *("PluginMetadata", "PluginTester", "DataSource", "Indicator", "Strategy", "Executor"),
    *("Plugins", "Commands", "Stream", "Name", "CSafeLoader", "Status", "Failed"),
    # a word of templates that is replaced, and a class of the SDK
    *("MyPlugin", "LiveSource"),
    # what libraries, the kernel and HTTP say
    *("ResolutionImpossible", "NewConnectionError", "ConnectTimeoutError", "ProxyError"),
    *("SSLError", "Pillow", "Cf", "Zs", "Connection", "Origin", "Null", "True", "False"),
    *("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Uid", "Threads"),
    "PPid",
    # a kind of kustomize's
    "Component",
    # categories of Unicode
    *("Cc", "Cn", "Co", "Cs"),
    # fields of images, of their archives, and of Debian's packages
    *("Config", "Entrypoint", "Env", "Labels", "Layers", "StopSignal", "User", "WorkingDir"),
    *("OnBuild", "Shell"),
    *("RepoTags", "Architecture", "Depends", "Description", "Filename", "Maintainer", "Package"),
    *("Priority", "Section", "Source", "Version", "Accept", "Authorization"),
    # fields of the Docker Engine's API
    *("Action", "AttachStderr", "AttachStdin", "AttachStdout", "AutoRemove", "BindOptions"),
    "CapAdd",
    *("CapDrop", "CgroupDriver", "CgroupVersion", "CgroupnsMode", "Cmd", "CpuCfsQuota"),
    *("CpuPeriod", "CpuQuota", "CpuShares", "Devices", "ExitCode", "FinishedAt", "GroupAdd"),
    *("LayersSize", "Size"),
    *("Hard", "Healthcheck", "HostConfig", "Id", "Image", "Init", "IpcMode", "LiveRestoreEnabled"),
    *("LogConfig", "Memory", "MemoryLimit", "MemorySwap", "MemorySwappiness", "Mounts"),
    *("Names", "NetworkMode", "OomScoreAdj", "OpenStdin", "Pid", "PidMode", "PidsLimit"),
    *(
        "Privileged",
        "Propagation",
        "PublishAllPorts",
        "ReadOnly",
        "ReadonlyRootfs",
        "RestartPolicy",
    ),
    *("SecurityOpt", "SecurityOptions", "ServerVersion", "ShmSize", "Soft", "StartedAt"),
    *("State", "SwapLimit", "Sysctls", "Target", "Test", "Tmpfs", "Tty", "Type", "UTSMode"),
    *("Ulimits", "UsernsMode", "Volumes", "Containers", "Driver", "ExtraHosts", "FirewallBackend"),
    *("NetworkSettings", "Networks", "Subnet"),
    # headings of a page and of a table
    *("Drawdown", "Ended", "Equity", "Fees", "Fills", "Signals", "Ticks", "Result", "Broker"),
    # kinds and fields of Kubernetes, and what its states say beside the reasons that we show
    *("ConfigMap", "Deployment", "Event", "Lease", "Namespace", "NetworkPolicy", "Pod", "Secret"),
    *("PersistentVolumeClaim", "PodDisruptionBudget", "Service", "StatefulSet", "OnDelete"),
    *("All", "Always", "Background", "BearerToken", "Burstable", "ContainerCannotRun", "Egress"),
    *("ContainerCreating", "FallbackToLogsOnError", "Gi", "IfNotPresent", "Ingress", "Ki", "Mi"),
    *("None", "OnRootMismatch", "Opaque", "Parallel", "PodInitializing", "PodResizeInProgress"),
    *("PodResizePending", "PodScheduled", "ReadWriteOnce", "RuntimeDefault", "StartError"),
    *("Succeeded", "ValidatingAdmissionPolicy", "CrashLoopBackOff", "ScheduleAnyway"),
    *("CustomResourceDefinition", "PluginSet", "List", "Namespaced", "Age", "Message", "Reason"),
    # who owns objects of a cluster
    *("Flux", "Helm"),
    # a note of `ntp data record`
    "NoConditions",
    # the end of exceptions' names, which is taken off
    "Error",
}


def sources() -> Iterator[ast.Module]:
    for folder in ("orchestrator", "plugin-images"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            figures = file.parent.name in {"page", "statistics"}  # they name figures, and no state
            if "tests" not in file.parts and file.name != "conftest.py" and not figures:
                yield ast.parse(file.read_text())


def typing_only(tree: ast.Module) -> Iterator[ast.expr]:
    """What names a type or an export, and is shown to nobody."""
    for node in ast.walk(tree):
        match node:
            case ast.arg(annotation=ast.expr() as found) | ast.AnnAssign(annotation=found):
                yield found
            case (
                ast.FunctionDef(returns=ast.expr() as found)
                | ast.AsyncFunctionDef(returns=ast.expr() as found)
            ):
                yield found
            case ast.Assign(targets=[ast.Name(id="__all__")], value=found):
                yield found
            case ast.Call(func=ast.Name(id="TypeVar" | "cast" | "TypedDict"), args=[found, *_]):
                yield found


def spoken() -> set[str]:
    """Every word of the code that could be a state, a reason, a condition or an event."""
    words = {action.__name__ for action in get_args(Action)}
    # as the loop names them
    words |= {each.__name__.removesuffix("Error") for each in (UnreachableError, ConflictError)}
    for tree in sources():
        passed_over = {id(node) for found in typing_only(tree) for node in ast.walk(found)}
        for node in ast.walk(tree):
            match node:
                case ast.Constant(value=str() as text) if id(node) not in passed_over:
                    if WORD.match(text):
                        words.add(text)
                case ast.Call(
                    func=ast.Name(id="deadline") | ast.Attribute(attr="deadline"),
                    args=[ast.Constant(value=str() as callback), *_],
                ):
                    words.add(f"{callback.capitalize()}Failed")
    return words - NO_REASON


def explained() -> set[str]:
    """Every such word in a table of the page."""
    lines = PAGE.partition("\n## States\n")[2].splitlines()
    cells = " ".join(line for line in lines if line.startswith(("|", "`Normal`")))
    return {word for word in re.findall(r"`([A-Za-z]+)`", cells) if WORD.match(word)}


def test_every_word_that_is_shown_is_on_the_page():
    missing = spoken() - explained()
    assert not missing, f"explain them in docs/errors.md: {sorted(missing)}"


def test_every_word_on_the_page_is_one_of_the_code():
    gone = explained() - spoken()
    assert not gone, f"take them out of docs/errors.md: {sorted(gone)}"


def test_the_list_of_what_is_no_reason_holds_nothing_that_is_gone():
    assert not {word for word in NO_REASON if not any(word in text for text in everything())}


def everything() -> Iterator[str]:
    for folder in ("orchestrator", "plugin-images"):
        for file in (ROOT / folder).rglob("*.py"):
            yield file.read_text()


def examples() -> list[tuple[str, str]]:
    """(what is told, its fix) of each kind of mistake."""
    section = PAGE.partition("\n## Mistakes in plugins.yaml\n")[2].partition("\n### Plugins and")[0]
    return re.findall(r"^\| `(.+?)` \| `(.+?)` \|", section, re.MULTILINE)


def test_the_examples_of_mistakes_are_told_word_by_word():
    told = set()
    for text in FIXTURES.glob("*.txt"):
        told |= set(re.findall(r"^\S+: (.*)\n  fix: (.*)$", text.read_text(), re.MULTILINE))

    assert len(examples()) > 30
    assert set(examples()) <= told
