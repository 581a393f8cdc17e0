"""Render helm/ntp with its defaults into manifests/, or compare them.

    python .ci/manifests.py [--check]

For `kubectl apply -k manifests`. Without Helm nothing runs hooks at their moments: the job that makes the keys is a
plain one, and what belongs to an uninstall or to `helm test` is left out. Without Helm here nothing is done.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
CHART, OUT = ROOT / "helm" / "ntp", ROOT / "manifests"
PLACES = (ROOT.parent / "shared" / "k8s" / "bin", Path("/var/lib/local-k8s/bin"))
HEAD = "# Rendered from helm/ntp with its defaults by .ci/manifests.py; never edited by hand.\n"
NAME = NAMESPACE = "ntp"
NAMESPACE_BODY = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
}
KUSTOMIZATION = {
    "apiVersion": "kustomize.config.k8s.io/v1beta1",
    "kind": "Kustomization",
    "namespace": NAMESPACE,
    "resources": ["namespace.yaml", "pluginset.yaml", "ntp.yaml"],
}


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    helm = find()
    if helm is None:
        print("manifests/ is not compared: no helm is here", file=sys.stderr)
        return 0
    lint = run(helm, "lint", "--strict", str(CHART))
    if lint.returncode:
        print(lint.stdout + lint.stderr, file=sys.stderr)
        return 5
    stale = 0
    for name, text in rendered(helm).items():
        path = OUT / name
        if path.exists() and path.read_text() == text:
            continue
        stale += 1
        if arguments:
            print(
                f"manifests/{name}: differs from helm/ntp\n  fix: python .ci/manifests.py",
                file=sys.stderr,
            )
        else:
            OUT.mkdir(exist_ok=True)
            path.write_text(text)
            print(f"wrote manifests/{name}", file=sys.stderr)
    return 6 if arguments and stale else 0


def find() -> str | None:
    """Return a helm: HELM, one on PATH, or one that lies beside the cluster of the tests."""
    named = [os.environ.get("HELM"), "helm", *(str(place / "helm4") for place in PLACES)]
    return next((found for each in named if each and (found := shutil.which(each))), None)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)


def rendered(helm: str) -> dict[str, str]:
    """Return the files by name."""
    words = [
        helm,
        "template",
        NAME,
        str(CHART),
        "--namespace",
        NAMESPACE,
        "--kube-version",
        "1.34.0",
    ]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    if done.returncode:
        sys.exit(done.stderr)
    bodies = [each for each in yaml.safe_load_all(done.stdout) if each]
    kept = [plain(each) for each in bodies if is_kept(each)]
    return {
        "kustomization.yaml": HEAD + yaml.safe_dump(KUSTOMIZATION, sort_keys=False),
        "namespace.yaml": HEAD + yaml.safe_dump(NAMESPACE_BODY, sort_keys=False),
        "ntp.yaml": HEAD + "---\n".join(yaml.safe_dump(each, width=110) for each in kept),
        "pluginset.yaml": (CHART / "crds" / "pluginset.yaml").read_text(),
    }


def is_kept(body: dict) -> bool:
    hooks = (body["metadata"].get("annotations") or {}).get("helm.sh/hook", "pre-install")
    return "pre-install" in hooks.split(",")


def plain(body: dict) -> dict:
    """Return an object without what means something to Helm alone."""
    metadata = body["metadata"]
    annotations = metadata.pop("annotations", None) or {}
    left = {key: text for key, text in annotations.items() if not key.startswith("helm.sh/")}
    if left:
        metadata["annotations"] = left
    metadata["labels"].pop("helm.sh/chart", None)
    metadata["labels"]["app.kubernetes.io/managed-by"] = "kustomize"
    return body


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
