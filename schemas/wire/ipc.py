"""Reading Arrow IPC bytes without ever decompressing more than a record may hold.

A compressed buffer states its decoded length in its first 8 bytes, and Arrow decompresses into exactly that
much. So the lengths are added up from each message's metadata before anything is decompressed. The metadata
is a flatbuffer; the few offsets needed are followed by hand (Arrow ``format/Message.fbs``), after Arrow
verified it.
"""

import struct

import pyarrow as pa

from schemas.wire.reasons import MAX_BYTES, MAX_SAMPLES, Refused

_FILE_MAGIC = b"ARROW1"
#: Begins a message of a stream; with a length of nothing it ends the stream.
_MARK = b"\xff\xff\xff\xff"
END = _MARK + bytes(4)
_BATCH = 3
#: Records are small: to hand their buffers to threads costs more than to decompress them.
_IN_PLACE = pa.ipc.IpcReadOptions(use_threads=False)


def read_batches(body: bytes) -> list[pa.RecordBatch]:
    """All batches of an Arrow stream or file, checked to be sound.

    Raises:
        Refused: Broken, cut short, or larger than a record may be once decoded.
    """
    if body[:6] == _FILE_MAGIC:
        # A file is a stream between magic words; its footer is for random access, not needed here.
        if body[-6:] != _FILE_MAGIC or len(body) < 16:
            raise Refused("framing", "an Arrow file, cut short")
        body = body[8:]
    try:
        _check_size(body)
        with pa.ipc.open_stream(pa.py_buffer(body), options=_IN_PLACE) as reader:
            batches = list(reader)
        for batch in batches:
            batch.validate(full=True)
    except (pa.ArrowException, OSError, EOFError, ValueError, struct.error) as error:
        raise Refused("framing", "broken Arrow") from error
    return batches


def lone_batch(body: bytes) -> tuple[int, int] | None:
    """Where the batch of a stream begins that is one batch and what it needs, and its rows; else None.

    Streams that agree up to there can be put together: the first, then the others' batches. What is said here
    of bytes that Arrow refuses means nothing.
    """
    data, at = memoryview(body), 0
    try:
        while data[at : at + 4] == _MARK:
            metadata = data[at + 8 : at + 8 + _i32(data, at + 4)]
            message = _u32(metadata, 0)
            kind, length_at = metadata[_field(metadata, message, 1)], _field(metadata, message, 3)
            end = at + 8 + len(metadata) + (_i64(metadata, length_at) if length_at else 0)
            if kind == _BATCH:
                rows_at = _field(metadata, _follow(metadata, _field(metadata, message, 2)), 0)
                rows = _i64(metadata, rows_at) if rows_at else 0
                return (at, rows) if rows > 0 and body[end:] == END else None
            if end <= at:
                return None
            at = end
    except (struct.error, IndexError):
        return None
    return None


def _check_size(body: bytes) -> None:
    size = rows = 0
    for message in pa.ipc.MessageReader.open_stream(pa.py_buffer(body)):
        if message.type not in ("record batch", "dictionary"):
            continue
        count, decoded = _decoded_size(memoryview(message.metadata), memoryview(message.body or b""))
        size += decoded
        rows += count
        if size > MAX_BYTES:
            raise Refused("too_large", f"over {MAX_BYTES} bytes once decompressed")
        if rows > MAX_SAMPLES:
            raise Refused("too_large", f"more than {MAX_SAMPLES} samples")


def _decoded_size(metadata: memoryview, body: memoryview) -> tuple[int, int]:
    """Rows and decoded bytes of a record batch or dictionary message."""
    message = _u32(metadata, 0)
    kind = metadata[_field(metadata, message, 1)]
    header = _follow(metadata, _field(metadata, message, 2))
    if kind == 2:  # a dictionary: its values are a batch of one column
        header = _follow(metadata, _field(metadata, header, 1))
    length_at = _field(metadata, header, 0)
    rows = _i64(metadata, length_at) if length_at else 0
    if not _field(metadata, header, 3):  # not compressed: the body is what it is
        return rows, len(body)
    size = 0
    buffers_at = _field(metadata, header, 2)
    if buffers_at:
        vector = _follow(metadata, buffers_at)
        for index in range(_u32(metadata, vector)):
            offset, length = struct.unpack_from("<qq", metadata, vector + 4 + 16 * index)
            if length > 0:
                decoded = _i64(body, offset) if length >= 8 else length
                size += length if decoded == -1 else decoded
                if decoded < -1 or offset < 0:
                    raise Refused("framing", "broken Arrow")
    return rows, size


def _field(data: memoryview, table: int, index: int) -> int:
    """Position of a table's field, 0 where it is absent."""
    vtable = table - _i32(data, table)
    slot = 4 + 2 * index
    if slot >= struct.unpack_from("<H", data, vtable)[0]:
        return 0
    offset: int = struct.unpack_from("<H", data, vtable + slot)[0]
    return table + offset if offset else 0


def _follow(data: memoryview, position: int) -> int:
    return position + _u32(data, position)


def _u32(data: memoryview, position: int) -> int:
    value: int = struct.unpack_from("<I", data, position)[0]
    return value


def _i32(data: memoryview, position: int) -> int:
    value: int = struct.unpack_from("<i", data, position)[0]
    return value


def _i64(data: memoryview, position: int) -> int:
    value: int = struct.unpack_from("<q", data, position)[0]
    return value


def dictionary_of(metadata: memoryview) -> tuple[int, bool]:
    """Which dictionary a message is of, and whether it adds to the one before instead of replacing it."""
    header = _follow(metadata, _field(metadata, _u32(metadata, 0), 2))
    number, delta = _field(metadata, header, 0), _field(metadata, header, 2)
    return (_i64(metadata, number) if number else 0), bool(delta and metadata[delta])
