"""The command line: commands by what they are about; heavy imports wait until one of them runs."""
