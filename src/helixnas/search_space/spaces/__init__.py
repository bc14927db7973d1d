"""Search spaces: one file each, each a function from a block's spec to its cells."""
