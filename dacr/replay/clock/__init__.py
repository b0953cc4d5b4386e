"""The clock of a replay: the calls of each step, and the calendar of news that is due later."""
