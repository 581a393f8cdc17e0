"""What runs in a container: `python -m ntp.runner`."""
