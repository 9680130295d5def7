"""The HTTP server: OpenAI's image edits and a few routes more, over `EditJob`. See docs/server.md."""
