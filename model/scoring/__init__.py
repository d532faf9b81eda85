"""What each sample is worth: losses under a fixed noise bank, scores, policies, versions chosen by SQL."""
