"""Routers: each answers *which model next?* and *is this answer good enough?*, and no other question."""
