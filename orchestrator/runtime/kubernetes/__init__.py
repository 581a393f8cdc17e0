"""Each plugin as a workload of a Kubernetes (docs/adr/0013-kubernetes.md)."""
