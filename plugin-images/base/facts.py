"""Inside the base that Docker builds: print what packing a plugin has to know of it, as its label has it."""

import importlib.metadata
import json
import platform
import re
import sys
import sysconfig

sys.path.insert(0, "/opt/ntp/sdk")
from ntp import __version__
from ntp.contract import CONTRACT

every = importlib.metadata.distributions(path=["/opt/ntp/runtime"])
abi, machine = str(sysconfig.get_config_var("SOABI")), platform.machine().lower()
print(
    json.dumps(
        {
            "form": "1",
            "python": sys.executable,
            "tag": abi if machine in abi else f"{abi}-{machine}",
            "distributions": {
                **{
                    re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower(): each.version
                    for each in every
                },
                "ntp-sdk": __version__,
            },
            "contract": CONTRACT,
        },
        sort_keys=True,
        separators=(",", ":"),
    )
)
