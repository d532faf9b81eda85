"""A version taken elsewhere: to the folder and the config that another trainer's own loader reads."""
