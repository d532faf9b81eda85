"""What a worker does with a batch: find and prepare sources, encode their clips, pack shards."""
