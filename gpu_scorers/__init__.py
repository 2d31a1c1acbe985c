"""Tensors in, scores out; the only package that imports torch."""
