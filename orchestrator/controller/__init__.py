"""The loop: observe, plan, act, for ever."""
