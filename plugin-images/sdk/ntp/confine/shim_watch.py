"""Wait beside a running plugin: carry its output, obey a stop, see its end.

Light imports only (see shim_files); what an end needs is imported at the end.
"""

import os
import select
import time

from ntp.confine import shim_files, shim_storage
from ntp.confine.shim_output import LogFiles, Output
from ntp.confine.shim_settings import Settings

TICK_S = 5.0
"""How often to look for what nobody tells us: an OOM kill of a mere child, a full storage folder."""
CHUNK = 64 * 1024
DRAIN_BYTES = 4 * 1024 * 1024
KILL_S = 10.0
DOOR_RETRY_S = 1.0
SIGKILL = 9  # the module `signal` loads `enum`: 0.8 MB for a number


class Watch:
    """One plugin's supervisor. Single-threaded; every wait is the one in `run`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        now = time.monotonic()
        self.output = Output(LogFiles(settings.folder), now)
        self.cause = ""
        """Why it is being stopped, in words; empty: nobody asked."""
        self.reason = ""
        """CamelCase, where the shim itself decided on the end."""
        self._deadline: float | None = None
        self._killed = False
        self._verifier = settings.verifier
        self._streams = {settings.stdout: "stdout", settings.stderr: "stderr"}
        self._paused: dict[int, float] = {}
        self._door = 0
        self._door_end = -1
        self._door_since = 0.0
        self._oom_kills = self._count_oom()
        self._look_at = now + (1.0 if settings.quota else TICK_S)
        self._poll = select.poll()
        self._plugin = os.pidfd_open(settings.pid)
        for fd in (settings.stdout, settings.stderr, settings.control, self._plugin):
            os.set_blocking(fd, False)
            self._poll.register(fd, select.POLLIN)

    @property
    def last(self) -> tuple[str, ...]:
        """The last lines that it printed."""
        return self.output.last

    def run(self) -> None:
        """Return once the plugin has ended; it is not reaped yet, so its pid is still its own."""
        while not _is_over(self._settings.pid):
            now = time.monotonic()
            self._reap()
            self._keep_door(now)
            self._look(now)
            self._enforce(now)
            self._unpause(now)
            for fd, _ in self._poll.poll(max(0.0, self._next_time(now) - now) * 1000 + 1):
                if fd in self._streams:
                    self._read(fd, time.monotonic())
                elif fd == self._settings.control:
                    self._obey()

    def end(self) -> tuple[int, int]:
        """End what the plugin left running, the door and the verifier; read what is left in the pipes.

        Returns the wait status of the plugin's outermost process, and the largest memory of any one
        process of it in bytes: all that is known where no control group counts.
        """
        self._kill()
        if self._door:
            os.kill(self._door, SIGKILL)
            os.waitpid(self._door, 0)
        if self._verifier:
            os.kill(self._verifier, SIGKILL)
            os.waitpid(self._verifier, 0)
        _, status, usage = os.wait4(self._settings.pid, 0)
        # Bounded by bytes, not by time: on a busy machine a second passes before the first is read.
        left = DRAIN_BYTES
        for fd, stream in self._streams.items():
            while left > 0:
                try:
                    data = os.read(fd, CHUNK)
                except BlockingIOError:
                    break
                if not data:
                    break
                left -= len(data)
                self.output.feed(stream, data, time.monotonic())
        self.output.finish()
        return status, usage.ru_maxrss * 1024

    def _kill(self) -> None:
        from ntp.confine import shim_end

        group = shim_end.group_of(self._settings.folder)
        shim_end.kill(self._settings.pid, group, sandboxed=self._settings.sandboxed)

    def _next_time(self, now: float) -> float:
        times = [self._look_at, now + TICK_S, *self._paused.values()]
        if self._settings.door >= 0 and not self._door:
            times.append(self._door_since + DOOR_RETRY_S)
        if self._deadline is not None:
            times.append(self._deadline)
        return min(times)

    def _read(self, fd: int, now: float) -> None:
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return
        if not data:
            self._poll.unregister(fd)
            del self._streams[fd]
            return
        pause = self.output.feed(self._streams[fd], data, now)
        if pause:
            self._paused[fd] = now + pause
            self._poll.unregister(fd)

    def _unpause(self, now: float) -> None:
        for fd in [fd for fd, until in self._paused.items() if until <= now]:
            del self._paused[fd]
            self._poll.register(fd, select.POLLIN)

    def _obey(self) -> None:
        try:
            lines = os.read(self._settings.control, CHUNK).decode("utf-8", "replace")
        except BlockingIOError:
            return
        for line in lines.splitlines():
            verb, grace_s, cause = [*line.split(" ", 2), "", ""][:3]
            if verb == "stop":
                self.stop(float(grace_s), cause=cause)

    def stop(self, grace_s: float, *, cause: str, reason: str = "Stopped") -> None:
        """Ask the plugin to end within `grace_s`; a second, more impatient stop shortens that."""
        from ntp.confine import shim_end

        deadline = time.monotonic() + max(0.0, grace_s)
        if self._deadline is None:
            self.cause, self.reason = cause, reason
            try:
                shim_files.write_atomic(
                    f"{self._settings.folder}/{shim_files.STOPPING}", cause.encode()
                )
            except OSError as e:  # a full disk must not keep a plugin from being stopped
                self.output.note(f"cannot record the stop: {e}")
            self.output.note(f"stop: {cause}")
            self._deadline = deadline
            if grace_s > 0:
                shim_end.terminate(self._settings.pid, sandboxed=self._settings.sandboxed)
        elif deadline >= self._deadline:
            return
        self._deadline = deadline

    def _enforce(self, now: float) -> None:
        if self._deadline is None or now < self._deadline:
            return
        if not self._killed:
            self._killed = True
            self.output.note("kill: the grace is over")
        self._kill()
        self._deadline = now + KILL_S  # again, should the kernel have been slow

    def _look(self, now: float) -> None:
        if now < self._look_at:
            return
        self._look_at = now + TICK_S
        if self._count_oom() > self._oom_kills and self._deadline is None:
            # A plugin of which a part was killed is not the plugin that was started.
            self.stop(
                0.0, cause="a process of it was killed for want of memory", reason="OOMKilled"
            )
        if self._settings.quota:
            used, complete = shim_storage.used(self._settings.storage)
            # At most a hundredth of one core, and never more than once a second.
            self._look_at = now + max(1.0, (time.monotonic() - now) * 100)
            if self._deadline is None and (used > self._settings.quota or not complete):
                found = f"{used} bytes" if complete else f"more than {shim_storage.ENTRIES} files"
                self.stop(
                    1.0,
                    cause=f"its storage holds {found}, the quota is {self._settings.quota} bytes: "
                    "raise `storage`, or let it write less",
                    reason="StorageFull",
                )

    def _count_oom(self) -> int:
        text = shim_files.read(self._settings.oom, 4096) if self._settings.oom else None
        for line in (text or b"").split(b"\n"):
            if line.startswith(b"oom_kill "):
                return int(line[9:])
        return 0

    def _reap(self) -> None:
        if self._verifier and os.waitpid(self._verifier, os.WNOHANG)[0]:
            self._verifier = 0
        if self._door and os.waitpid(self._door, os.WNOHANG)[0]:
            self._door = 0
            self._poll.unregister(self._door_end)
            os.close(self._door_end)
            self.output.note("the door ended; it is opened again")

    def _keep_door(self, now: float) -> None:
        if self._settings.door < 0 or self._door or now < self._door_since + DOOR_RETRY_S:
            return
        self._door_since = now
        shim = os.getpid()
        self._door = os.fork()
        if self._door == 0:
            from ntp.confine import shim_door

            shim_door.main(self._settings, shim)
        self._door_end = os.pidfd_open(self._door)
        self._poll.register(self._door_end, select.POLLIN)


def _is_over(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def main(words: list[str]) -> None:
    """Watch one plugin to its end, write down how it ended, leave nothing of it."""
    settings = Settings(words[0], words[1:])
    watch = Watch(settings)
    watch.run()
    status, peak = watch.end()
    from ntp.confine import shim_end

    shim_end.finish(settings.folder, status, watch, peak=peak)
