"""Desired state and memory as objects of a cluster: PluginSet, Lease, ConfigMaps and Secrets (docs/adr/0013-kubernetes.md)."""
