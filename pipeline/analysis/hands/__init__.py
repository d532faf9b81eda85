"""The dancer's hands: 21 points each."""
