"""Sources that are taken back."""
