"""What predictions and beliefs are worth in an experiment: calibrated predictions and the tables of their errors."""
