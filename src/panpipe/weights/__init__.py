"""Checkpoints as files: finding them (`hub`), reading and writing them (`checkpoint`, `save`), and the tables of names.

Nothing read here is ever executed, and no tensor is read before it is asked for.
"""
