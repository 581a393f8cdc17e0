"""The sandbox: kernel limits around a process, chosen by trying, reported as they are."""
