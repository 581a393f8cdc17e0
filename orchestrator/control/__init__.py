"""The controller's Unix socket: how ntpctl asks, with the broker dead or alive."""
