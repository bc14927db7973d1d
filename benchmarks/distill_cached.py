"""Distil all blocks for 20 epochs: the teacher run at every step (DNA) against its features, written once and read.

The cached time has the writing in it. Both end with the same supernets, to the bit. 20 steps of 16 images for each of
six blocks. Run: python benchmarks/distill_cached.py
"""

from distilling import dna, same
from figure import Figure, in_turns, publish

NUM_ROUNDS = 2


def main() -> None:
    bench = dna(num_images=16, batch_size=16, epochs=20)
    bench.make(NUM_ROUNDS)
    rounds = in_turns([bench.naive, bench.cached], NUM_ROUNDS)
    assert all(same(naive, cached) for (_, naive), (_, cached) in rounds)
    publish(
        Figure(
            "distil all blocks, cached features, 20 epochs",
            "blocks in turn, the teacher run from the image at every step",
            tuple(naive_s / cached_s for (naive_s, _), (cached_s, _) in rounds),
            goal=10,
            note="EfficientNet-B7, DNA's space, 64 pixels, no augmentation, one thread; equal supernets to the bit",
        )
    )


if __name__ == "__main__":
    main()
