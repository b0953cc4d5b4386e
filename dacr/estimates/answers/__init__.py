"""The answer that a response gives, read off the response alone."""
