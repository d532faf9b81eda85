"""The command line: commands by what they are about; heavy imports wait until one of them runs."""

from flows.isolation import forget_working_directory

forget_working_directory()
