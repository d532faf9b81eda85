"""Pictures that are given a dance: where it comes from, how it is put on their person, and the warp alone."""
