"""What the runner does to data and signals, without a bus: the tester runs this very code. Pure."""
