"""`python -m orchestrator` equals `ntpctl`, for machines where another ntpctl comes first."""

from orchestrator.entry import main

if __name__ == "__main__":
    main()
