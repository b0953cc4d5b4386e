"""The live arena: the same routers against any OpenAI-compatible endpoint."""
