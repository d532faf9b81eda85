"""`python -m flows.cli` is `longdance`."""

from flows.cli.main import main

main()
