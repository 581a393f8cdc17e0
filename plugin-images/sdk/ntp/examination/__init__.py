"""A plugin examined on its author's machine: run isolated on recorded data, looked at, compared.

`confined` starts `child` in a sandbox, by an `order`; nothing of the plugin runs outside of it.
"""
