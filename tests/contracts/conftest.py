"""The newcomer's parts are imported by the tests that ask for them alone: an import registers them."""

collect_ignore = ["newcomer"]
