"""The parts of `python -m benchmarks.drills conformance`."""
