"""Plugins as containers of a Docker Engine. Port `Runtime`."""
