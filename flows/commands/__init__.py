"""The commands of `longdance`, by what they are about. Heavy imports wait until one of them runs."""
