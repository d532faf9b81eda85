"""Which frames each network call is given and which it makes, as pure data; stages train on the same calls."""
