"""Figures, each as a ratio to a peer or a floor measured in the same run. `make bench` prints them."""
