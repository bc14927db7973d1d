"""Distil all blocks: blocks in turn with the teacher run from the image (DNA) against one pass for all blocks.

Both take the same steps on the same images and end with the same supernets, to the bit. Two steps of 8
images for each of six blocks. Run: python benchmarks/distill_streamed.py
"""

from distilling import against_dna, dna
from figure import publish

if __name__ == "__main__":
    bench = dna(num_images=8, batch_size=8, epochs=2)
    publish(against_dna(bench, bench.together, "distil all blocks, streamed", goal=2.5, num_rounds=3))
