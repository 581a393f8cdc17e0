"""A plugin's files and wheels: read within bounds, locked by hash, installed, compiled; on both sides."""
