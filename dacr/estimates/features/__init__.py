"""What is read off the texts: features of the question, and cues of a response."""
