"""Settings of the orchestrator: environment, .env, options, one place."""
