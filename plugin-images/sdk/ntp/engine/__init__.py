"""How signals become fills: one implementation for test, paper and live. Pure."""
