"""A drawn dancer's body: proportions, limbs, face, clothes, and painting them."""
