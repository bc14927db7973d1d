"""Search spaces, one file each: ``cells`` from one block's spec, or ``blocks`` from the specs of all blocks."""
