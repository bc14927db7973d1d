"""What a run would do, and what it takes of time, memory and disk. No door: the flow needs its times without torch."""
