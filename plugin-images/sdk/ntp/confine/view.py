"""What of the host a plugin may see: system libraries, certificates, its interpreter, its binds."""
# ruff: noqa: PTH100, PTH110, PTH113, PTH114, PTH115, PTH118, PTH120  # see files.py

import os

from ntp.confine.policy import Bind, ConfineError, Policy

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Read-only. On a merged-usr system all but the first are links, and stay links."""
ETC = (
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/ca-certificates",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/crypto-policies",
    "/etc/ld.so.cache",
    "/etc/localtime",
)
MASKED = (
    "/proc/keys",
    "/proc/key-users",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/proc/kcore",
    "/proc/kmsg",
    "/proc/kallsyms",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/sysrq-trigger",
    "/proc/cmdline",
    "/proc/config.gz",
    "/proc/modules",
    "/proc/interrupts",
)
"""They show or do something beyond the plugin; shown empty."""
_STORES = ("/nix/store", "/gnu/store")


def synthetic(uid: int, gid: int) -> dict[str, str]:
    """Small files under /etc that name nobody of the host and no name server."""
    return {
        "/etc/passwd": f"plugin:x:{uid}:{gid}::/tmp:/usr/sbin/nologin\n",
        "/etc/group": f"plugin:x:{gid}:\n",
        "/etc/hosts": "127.0.0.1 localhost\n",
        "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
        "/etc/resolv.conf": "",
    }


def interpreter(python: str) -> tuple[tuple[Bind, ...], tuple[tuple[str, str], ...]]:
    """What of the host a Python at this path needs, at its own paths: (binds, links).

    Elsewhere than at its own path, a Python with a shared libpython would load another one. Nothing
    for the system's Python, which lies in what is shown anyway. A link is (content, path).
    """
    folders: set[str] = set()
    links: list[tuple[str, str]] = []
    path = os.path.abspath(python)
    while os.path.islink(path) and len(links) < 40:
        # A virtual environment is a link, or several, to the real program.
        if os.path.exists(f"{(home := _up(_up(path)))}/pyvenv.cfg"):
            folders.add(home)
        links.append((os.readlink(path), path))
        path = os.path.normpath(os.path.join(_up(path), os.readlink(path)))
    real = os.path.realpath(path)
    if not os.path.isfile(real):
        raise ConfineError(f"there is no program at {python}: install Python there")
    prefix = _up(_up(real))
    if os.path.exists(f"{prefix}/pyvenv.cfg"):  # made with copies instead of links
        folders.add(prefix)
    folders.update(store for store in _STORES if real.startswith(f"{store}/"))
    folders.update({real, f"{prefix}/lib", f"{prefix}/lib64"} if prefix != "/" else {real})
    shown = [
        folder
        for folder in sorted(folders)
        if os.path.exists(folder) and not _below(folder, (*SYSTEM, *(folders - {folder})))
    ]
    return (
        tuple(Bind(folder, folder, noexec=False) for folder in shown),
        tuple((content, path) for content, path in links if not _below(path, (*SYSTEM, *shown))),
    )


def seen(policy: Policy, tier: int, path: str) -> str:
    """Where the plugin finds a path of its view: itself in tiers 3 and 2, its source in 1 and 0."""
    if tier >= 2:
        return path
    for bind in sorted(policy.binds, key=lambda bind: -len(bind.target)):
        if path == bind.target or path.startswith(f"{bind.target}/"):
            return bind.source + path[len(bind.target) :]
    if policy.scratch and (path == "/tmp" or path.startswith("/tmp/")):  # noqa: S108
        return policy.scratch + path[len("/tmp") :]  # noqa: S108
    return path


def _up(path: str) -> str:
    return os.path.dirname(path)


def _below(path: str, tops: tuple[str, ...]) -> bool:
    return any(path == top or path.startswith(f"{top}/") for top in tops)
