"""Where desired state and the loop's memory are kept."""
