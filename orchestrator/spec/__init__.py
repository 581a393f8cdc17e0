"""What the user declared. Pure: text in, Desired or every problem out."""
