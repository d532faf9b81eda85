"""Where data sets and raw videos lie: folders, or object storage with a mirror here."""
