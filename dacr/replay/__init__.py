"""The replay arena: runs over recorded outcomes, scored in one pass (static) or walked request by request (stepped)."""
