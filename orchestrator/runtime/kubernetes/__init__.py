"""Plugins as workloads of a Kubernetes cluster."""
