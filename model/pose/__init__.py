"""A dancer as parts that move with her joints: which place of a picture becomes which in another pose."""
