"""Marketplaces: an ordinary registry or a folder, with a signed catalogue that is itself an artifact in it."""
