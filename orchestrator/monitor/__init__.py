"""What monitoring asks of a controller, over HTTP."""
