"""The API server of a Kubernetes: the only room that knows its client (docs/adr/0013-kubernetes.md)."""
