"""The controller of a cluster with COUNT plugins whose pods nobody runs; says what it cost.

    python -m tests.benchmarks.scale_controller COUNT NAMESPACE FOLDER

Real: controller, runtime and store of Kubernetes, kube-apiserver, etcd, the cluster's own StatefulSet
controller. Simulated: the node (tests.benchmarks.fake_node, another process), broker and bus, so that
1,000 plugins need no 1,000 containers. Prints one line of JSON.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack, aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any

from ntp.contract.beat import Beat, Stage
from orchestrator.cluster.cluster import Cluster
from orchestrator.cluster.kinds import PODS, STATEFUL_SET, Body, Kind
from orchestrator.cluster.place import Place
from orchestrator.controller.controller import Controller
from orchestrator.controller.outside import Outside, Tempo
from orchestrator.decide.report import Outcome
from orchestrator.decide.state import Phase
from orchestrator.runtime.kubernetes.objects import Ground
from orchestrator.runtime.kubernetes.runtime import KubernetesRuntime
from orchestrator.store.kubernetes.lease import ClusterLease
from orchestrator.store.kubernetes.store import ClusterStore
