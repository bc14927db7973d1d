"""Distil all blocks for 20 epochs: the teacher run at every step (DNA) against its features, written once and read.

The cached time has the writing in it. Both end with the same supernets, to the bit. 20 steps of 8 images for each of
six blocks. Run: python benchmarks/distill_cached.py
"""

from distilling import against_dna, dna
from figure import publish

if __name__ == "__main__":
    bench = dna(num_images=8, batch_size=8, epochs=20)
    publish(against_dna(bench, bench.cached, "distil all blocks, cached features, 20 epochs", goal=10, num_rounds=2))
