"""Where containers come from: one adapter each for processes, Docker, Kubernetes."""
