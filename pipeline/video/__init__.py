"""The one door to ffmpeg: probing, filters, and writing video."""
