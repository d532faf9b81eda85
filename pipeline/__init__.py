"""Raw videos to clips to shards: pure maths, and one door to ffmpeg."""
