"""The comparison of all calibrators: offline and online, in and out of distribution, with intervals."""
