"""Fills the generated parts of pages: `make docs` writes them, `make lint` compares them."""
