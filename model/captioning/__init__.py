"""Captions that a vision model writes, by any endpoint that speaks OpenAI's chat format."""
