"""Run a plugin on recorded data, without a bus."""
