"""NATS: the embedded server, accounts and credentials, the controller's connection."""
