"""`python -m ntp.cli` equals `ntp`, also where another `ntp` comes first on the path."""

from ntp.cli import main

main(prog_name="ntp")
