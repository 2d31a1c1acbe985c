"""Tables and batches as bytes of an Arrow IPC stream."""

from typing import Any

import pyarrow as pa


def stream(data: pa.Table | pa.RecordBatch, **options: Any) -> bytes:
    """``options``: of `pyarrow.ipc.IpcWriteOptions`, such as ``compression``."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, data.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write(data)
    plain: bytes = sink.getvalue().to_pybytes()
    return plain
