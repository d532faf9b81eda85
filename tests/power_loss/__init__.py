"""What a power cut may leave of each commit point, replayed from what the kernel was really asked to do."""
