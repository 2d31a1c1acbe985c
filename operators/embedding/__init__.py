"""Embeddings: projected at the source, folded into additive sketches, scored by window."""

from operators.embedding.state import EmbeddingState
from operators.embedding.vectors import identity_fields, project, vector_schema
from operators.embedding.verdict import EmbeddingVerdict

__all__ = ["EmbeddingState", "EmbeddingVerdict", "identity_fields", "project", "vector_schema"]
