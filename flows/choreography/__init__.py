"""Dances as files: landmarks, what they are worth, and a page that plays them."""
