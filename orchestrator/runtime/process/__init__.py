"""Containers made of kernel parts, where no engine answers."""
