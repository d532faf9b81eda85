"""What a training reads: samples, captions, latents, text embeddings, versions, windows."""
