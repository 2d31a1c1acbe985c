"""Everything that crosses a boundary: records, names, wire formats, topics, tables."""
