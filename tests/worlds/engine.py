"""A Docker Engine for tests: the one that answers, or one of our own on its own socket and folders.

NTP_TEST_DOCKERD names a folder with the programs of another engine than the machine's (see
requirements/engine), NTP_TEST_DOCKER_STORE=containerd has it keep its images with containerd.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from ntp.oci import archive, base_image
from ntp.oci import image as images
from ntp.oci.layout import Layout
from ntp.oci.source import architecture
from orchestrator.launch import Environment, Image
from orchestrator.runtime.docker import presence

REPOSITORY = Path(__file__).parents[2]
PROGRAMS = "NTP_TEST_DOCKERD"
START_S = 90.0
SETTINGS = {"live-restore": True, "bridge": "none", "iptables": False}
STORES = {"": {}, "containerd": {"features": {"containerd-snapshotter": True}}}


class AbsentEngineError(Exception):
    """No engine answers, and none can be started here."""


@cache
def base():
    """The folder with the base image, made once a run: for every engine of it."""
    maker, folder = REPOSITORY / "plugin-images/base/from_debian.py", REPOSITORY / "dist/base"
    done = subprocess.run(
        [sys.executable, maker, "-o", folder], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise AbsentEngineError(f"no base image can be made: {done.stderr.strip()}")
    return folder


class Engine:
    """An engine that answers at `url`. `pid` None: it is not ours."""

    def __init__(self, url, folders=()):
        self.url = url
        self.pid = None
        self.folders = folders
        self.environment = cache(self._environment)

    def run(self, *words):
        """The output of a `docker` command."""
        done = subprocess.run(
            ["docker", "--host", self.url, *words], check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, words, done.stdout, done.stderr)
        return done.stdout

    def inspect(self, container):
        return json.loads(self.run("inspect", container))[0]

    def _environment(self):
        """What plugins of a test run in: the base image, made of Debian's packages."""
        folder = base()
        layout = Layout.open(folder)
        image = images.choose(layout, None, architecture=architecture())
        tag = image.descriptor.hexadecimal[:12]
        with tempfile.NamedTemporaryFile(suffix=".tar") as file:
            archive.write(layout, [archive.Item(image, "ntp/base", tag)], file)
            file.flush()
            self.run("load", "--input", file.name)
        ids = frozenset({image.config_descriptor.digest, image.descriptor.digest})
        return Environment(
            Path(base_image.facts(image, str(folder)).python),
            (Path(base_image.SDK_FOLDER), Path(base_image.RUNTIME_FOLDER)),
            image.digest,
            Image(f"ntp/base:{tag}", ids),
        )

    def close(self):
        pass


class OwnEngine(Engine):
    """dockerd with its own socket, data and runtime folders; gone without a trace after `close`."""

    def __init__(self, settings=SETTINGS):
        # Short: a socket's path has 107 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="ntp-engine-"))
        super().__init__(f"unix://{self._folder}/sock", folders=(self._folder / "data",))
        store = STORES[os.environ.get("NTP_TEST_DOCKER_STORE", "")]
        (self._folder / "daemon.json").write_text(json.dumps({**settings, **store}))
        self._process = self._containerd = None
        self._watch = self._watched()
        self.start()

    def start(self):
        """Start dockerd; it finds its containers again, which belong to a containerd of their own."""
        folder = self._folder
        if self._containerd is None:
            words = ["--root", folder / "images", "--state", folder / "state"]
            self._containerd = self._spawn("containerd", *words, "--address", folder / "containerd")
            self._wait(self._containerd, (folder / "containerd").is_socket)
        (folder / "pid").unlink(missing_ok=True)
        self._process = self._spawn(
            "dockerd", "--host", self.url, "--config-file", folder / "daemon.json",
            "--data-root", folder / "data", "--exec-root", folder / "exec",
            "--pidfile", folder / "pid", "--containerd", folder / "containerd",
        )  # fmt: skip
        self.pid = self._process.pid
        self._wait(self._process, lambda: presence.answers({"DOCKER_HOST": self.url}))

    def _watched(self):
        """Start who removes all of it should we die without `close`: he hears the end of our pipe."""
        return subprocess.Popen(
            [sys.executable, "-P", Path(__file__).with_name("engine_watch.py"), self._folder],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def _spawn(self, *words):
        path = os.pathsep.join(filter(None, [os.environ.get(PROGRAMS), os.environ["PATH"]]))
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                words,
                env={**os.environ, "PATH": path},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait(self, process, answers):
        deadline = time.monotonic() + START_S
        while not answers():
            if process.poll() is not None or time.monotonic() > deadline:
                said = (self._folder / "log").read_text(errors="replace")[-2000:]
                self.close()
                raise AbsentEngineError(f"the engine did not start: {said}")
            time.sleep(0.05)

    def signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        """End it as a crash would; `start` has it back."""
        self.signal(signal.SIGKILL)
        self._process.wait(START_S)

    def is_frozen(self):
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def is_alive(self):
        return self._process.poll() is None

    def close(self):
        """End it, its containers and its containerd; remove its folders."""
        if self._process is not None and self.is_alive():
            with suppress(subprocess.CalledProcessError):
                left = self.run("ps", "--all", "--quiet").split()
                if left:
                    self.run("rm", "--force", "--volumes", *left)
        for process in (self._process, self._containerd):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(60)
        self._watch.communicate(timeout=60)  # what is left goes as it would without us


def find():
    """Return the engine that answers, else one of our own; AbsentEngineError says why there is none."""
    if PROGRAMS in os.environ:
        return OwnEngine()
    if presence.answers(os.environ):
        url = os.environ.get("DOCKER_HOST", f"unix://{presence.SOCKET}")
        return Engine(url)
    install()
    return OwnEngine()


def install():
    """Have the programs of an engine here; AbsentEngineError says why they cannot be."""
    done = subprocess.run(
        [REPOSITORY / "requirements/docker"], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise AbsentEngineError(done.stderr.strip())
