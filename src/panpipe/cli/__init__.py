"""The command line: `panpipe TASK TEXT`, `panpipe info MODEL`, `panpipe doctor`, `panpipe tasks`.

    main       which verb, and what its errors become
    options    a task's parameters as options
    records    texts from arguments, files and pipes
    run_task   the verbs that run a model
    writers    answers as JSON lines or as a table
    info, doctor, tasks    what is known of a model, of this machine, of the tasks
    terminal   widths, colours, whole lines

Only this package prints. Nothing heavy is imported before the verb is known.
"""

from __future__ import annotations

from .main import main

__all__ = ["main"]
