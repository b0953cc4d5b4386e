"""Decisions that were made elsewhere: any router's choices on recorded queries, scored as our own routers are."""
