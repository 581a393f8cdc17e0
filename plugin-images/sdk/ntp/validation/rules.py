"""Names that whoever reads a plugin before running it would ask about."""

from dataclasses import dataclass, field

from ntp.contract.names import Kind
from ntp.validation.finding import Severity

_TIMELESS = frozenset({Kind.STRATEGY, Kind.INDICATOR})


@dataclass(frozen=True, slots=True)
class Rule:
    """A reference to one of `names`, or to what is inside it, is a finding.

    `kinds`: of plugins, empty: of all. `but`: names that are none.
    """

    id: str
    names: tuple[str, ...]
    message: str
    fix: str
    kinds: frozenset[Kind] = field(default_factory=frozenset)
    but: tuple[str, ...] = ()
    severity: Severity = Severity.WARNING


RULES = (
    Rule(
        "dynamic-code",
        ("eval", "exec", "compile", "code", "codeop"),
        "runs text as code",
        "call the function itself, or choose it from a dict of functions",
    ),
    Rule(
        "dynamic-import",
        ("__import__", "importlib", "runpy", "imp", "pkgutil", "zipimport"),
        "imports what cannot be told from the code",
        "import it by its name at the top of the module",
        but=("importlib.metadata", "importlib.resources"),
    ),
    Rule(
        "process",
        (
            *("subprocess", "multiprocessing", "pty", "os.system", "os.popen", "os.fork"),
            *("os.forkpty", "os.execv", "os.execve", "os.execvp", "os.execvpe", "os.execl"),
            *("os.execle", "os.execlp", "os.execlpe", "os.spawnv", "os.spawnve", "os.spawnvp"),
            *("os.spawnvpe", "os.spawnl", "os.spawnle", "os.spawnlp", "os.spawnlpe"),
            *("os.posix_spawn", "os.posix_spawnp", "asyncio.create_subprocess_exec"),
            *("asyncio.create_subprocess_shell", "concurrent.futures.ProcessPoolExecutor"),
        ),
        "starts another program or process",
        "do it in the plugin itself: its sandbox has few processes and no programs",
    ),
    Rule(
        "socket",
        ("socket", "_socket", "socketserver", "asyncio.start_server", "asyncio.start_unix_server"),
        "opens sockets by itself",
        "use ntp.live, websockets or urllib: they are handed the hosts that `egress` declares",
        but=("socket.gaierror", "socket.herror", "socket.timeout", "socket.error"),
    ),
    Rule(
        "environment",
        ("os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv", "os.unsetenv"),
        "looks into the environment, where a sandbox has nothing of the entry",
        'take it from `config`; a secret by reference: api_key: "${API_KEY}", named in `secrets`',
    ),
    Rule(
        "machine-code",
        ("ctypes", "_ctypes", "cffi"),
        "calls machine code past Python",
        "use a library that is in `requirements`, whose wheel is locked by its hash",
    ),
    Rule(
        "pickle",
        (
            *("pickle.load", "pickle.loads", "pickle.Unpickler", "_pickle", "cPickle", "shelve"),
            *("marshal.load", "marshal.loads", "dill", "cloudpickle", "joblib.load", "torch.load"),
            "pandas.read_pickle",
        ),
        "unpickles, which runs whatever code the data holds",
        "keep data as JSON, CSV or with numpy.save",
    ),
    Rule(
        "exit",
        ("sys.exit", "os._exit", "os.abort", "os.kill", "exit", "quit", "signal"),
        "ends or interrupts the process past its runner",
        "raise PermanentError(reason, message), which `ntpctl status` shows",
    ),
    Rule(
        "person",
        ("input", "breakpoint", "pdb", "getpass"),
        "waits for a person, and none is there",
        "take it from `config`",
    ),
    Rule(
        "clock",
        (
            *("time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.ctime"),
            *("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today"),
            *("datetime.date.today", "pandas.Timestamp.now", "pandas.Timestamp.utcnow"),
        ),
        "looks at the clock: a test or a replay would not do what a live run did",
        "take the time of the tick: data.timestamp",
        kinds=_TIMELESS,
    ),
    Rule(
        "chance",
        ("random", "numpy.random", "secrets", "uuid.uuid1", "uuid.uuid4", "os.urandom"),
        "rolls dice: the same data would not give the same results",
        "take a generator with a fixed seed: random.Random(7), numpy.random.default_rng(7)",
        kinds=_TIMELESS,
        but=("random.Random", "numpy.random.default_rng", "numpy.random.Generator"),
    ),
    Rule(
        "foreign-files",
        ("os.path.expanduser", "pathlib.Path.home", "pathlib.Path.cwd", "os.getcwd", "os.chdir"),
        "looks for files outside of the plugin's folder and its storage",
        "use self.storage, or Path(__file__).parent for what the plugin brings",
    ),
)

BY_ID = {rule.id: rule for rule in RULES}

SEEDED = ("random.Random", "numpy.random.default_rng")
"""Called without a seed they are `chance` too."""

INTO_OBJECTS = frozenset(
    {"__subclasses__", "__globals__", "__builtins__", "__code__", "__closure__", "__loader__"}
)
"""Attributes by which code gets at what it was not given."""

NETWORK = frozenset(
    {"aiohttp", "httpx", "requests", "urllib3", "websocket", "websockets", "ftplib", "smtplib"}
)
NETWORK_INSIDE = ("urllib.request", "http.client")
"""Modules that are of no use without a host."""
