"""What editing programmes put on and around a video: bars, text, logos."""
