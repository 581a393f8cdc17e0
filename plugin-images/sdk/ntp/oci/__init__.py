"""Images of plugins: built byte for byte the same again, kept, read with every byte checked, moved."""
