"""What probabilities are worth: one path from bins to every ECE."""
