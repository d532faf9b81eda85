"""What a worker on any host does with the model."""
