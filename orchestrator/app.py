"""The only file that names an adapter: puts the house together."""
