"""The orchestrator: from plugins.yaml to isolated, wired, reconciled trading plugins."""
