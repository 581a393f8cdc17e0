"""Writes down what a live data source sends: as CSV that replay_data plays, or as frames for `ntp exchange`."""
