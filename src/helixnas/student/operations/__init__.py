"""Built-in operations, one file each, called as their kind: ``build`` makes the module of a candidate for a layer.

An operation whose candidates share weights has ``build_together``, which makes the modules of a whole layer.
"""
