"""A new plugin's folder, from a template."""
