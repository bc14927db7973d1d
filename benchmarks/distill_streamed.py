"""Distil all blocks: blocks in turn with the teacher run from the image (DNA) against one pass for all blocks.

Both take the same steps on the same images and end with the same supernets, to the bit. Two steps of 16
images for each of six blocks. Run: python benchmarks/distill_streamed.py
"""

from distilling import dna, same
from figure import Figure, in_turns, publish

NUM_ROUNDS = 3


def main() -> None:
    bench = dna(num_images=16, batch_size=16, epochs=2)
    bench.make(NUM_ROUNDS)
    rounds = in_turns([bench.naive, bench.together], NUM_ROUNDS)
    assert all(same(naive, together) for (_, naive), (_, together) in rounds)
    publish(
        Figure(
            "distil all blocks, streamed",
            "blocks in turn, the teacher run from the image at every step",
            tuple(naive_s / together_s for (naive_s, _), (together_s, _) in rounds),
            goal=2.5,
            note="EfficientNet-B7 and DNA's space at 64 pixels, one thread; equal supernets to the bit",
        )
    )


if __name__ == "__main__":
    main()
