"""Generators of real encoded videos with known ground truth."""
