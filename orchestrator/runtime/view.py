"""What a plugin sees of its container, on every runtime of one machine."""

from ntp.contract import launch as contract
from orchestrator.launch import Launch

CODE, STORAGE = "/plugin", "/storage"
NOFILE = 256
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def environment(launch: Launch, *, tmp: str, files: str) -> dict[str, str]:
    """The whole environment of a plugin: nothing of the controller's, nothing secret."""
    site = launch.environment.site if launch.environment else ()
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": tmp,
        "TMPDIR": tmp,
        "LANG": "C.UTF-8",
        "PYTHONPATH": ":".join(map(str, site)),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "NTP_LAUNCH": files,
        **(
            {"SSL_CERT_FILE": f"{files}/{contract.CA_FILE}"}
            if contract.CA_FILE in launch.files
            else {}
        ),
        # BLAS starts a thread for each core of the host otherwise, and meets the pids limit.
        **dict.fromkeys(_ONE_THREAD, "1"),
    }
