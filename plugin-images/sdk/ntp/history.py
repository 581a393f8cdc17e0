"""The window of what came before: O(1) a tick, nothing copied."""
