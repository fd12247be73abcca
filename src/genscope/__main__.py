"""`python -m genscope` is the command line; `python -m genscope worker` computes cells for a study that is running."""

import sys

if sys.argv[1:] == ["worker"]:
    from genscope.engine.worker import main
else:
    from genscope.cli import main

main()
