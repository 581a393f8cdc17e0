"""Makes the pictures of the demo that README shows: `python -m docs.pictures`, by hand, with a chromium."""
