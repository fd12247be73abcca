"""`python -m genscope` is the command line."""

from genscope.cli import main

main()
