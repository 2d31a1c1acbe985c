"""Duplicates: the same key in the same partition counts once, until its bucket closes.

Keys are kept as 64-bit hashes: with a million of them the chance that a new sample is taken for an old one
is below 1e-13.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.intake.hashing import Hashes, mixed, of_numbers, of_strings
from schemas.chunk import Chunk

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

#: What tells apart two samples of one request.
_BESIDE = {"requests": "status", "embeddings": "side"}
_NUMBERED, _BY_REQUEST = np.uint64(1), np.uint64(2)


def keys_of(chunk: Chunk, producer: Hashes) -> tuple[Hashes, Mask]:
    """Key of each sample, and whether it has one.

    It is producer, producer_seq and event_time where the sample is numbered, else request_id with status or
    side. ``producer``: hash of who sent each sample, by the rule of the partition's time.
    """
    batch = chunk.batch
    keys, known = np.zeros(batch.num_rows, np.uint64), np.zeros(batch.num_rows, bool)
    if (beside := _BESIDE.get(chunk.form)) is not None:
        request = mixed(of_strings(batch.column("request_id")), of_strings(batch.column(beside)))
        keys, known = mixed(request, np.full(batch.num_rows, _BY_REQUEST)), ~known
    if "producer_seq" in batch.schema.names and chunk.form != "changes":
        numbered = batch.column("producer_seq")
        sequence = of_numbers(numbered.fill_null(0).to_numpy())
        time = of_numbers(batch.column("event_time").to_numpy())
        own = mixed(mixed(mixed(producer, sequence), time), np.full(batch.num_rows, _NUMBERED))
        valid = numbered.is_valid().to_numpy(zero_copy_only=False)
        keys, known = np.where(valid, own, keys), known | valid
    return keys, known


class Duplicates:
    """The keys of a partition's open buckets."""

    def __init__(self, bucket_ms: int, lateness_ms: int) -> None:
        self._bucket_ms = bucket_ms
        self._lateness = lateness_ms
        self._seen: dict[int, int] = {}
        self._by_bucket: dict[int, list[Hashes]] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def repeated(self, keys: Hashes, bucket: Ints, before: Ints) -> Mask:
        """Which samples repeat a key; the others' keys are kept.

        Args:
            keys: uint64[n], in offset order.
            bucket: int64[n] start of each sample's bucket, Unix ms.
            before: int64[n] the partition's time before each sample's record, Unix ms.
        """
        found = np.zeros(len(keys), bool)
        plain = keys.tolist()
        if len(set(plain)) == len(plain) and self._seen.keys().isdisjoint(plain):
            self._seen.update(zip(plain, bucket.tolist(), strict=True))
        else:
            repeats = []
            rows = zip(plain, bucket.tolist(), before.tolist(), strict=True)
            for index, (key, start, time) in enumerate(rows):
                held = self._seen.get(key)
                if held is not None and not self._closed(held, time):
                    repeats.append(index)
                else:
                    self._seen[key] = start
            found[repeats] = True
        kept, at = keys[~found], bucket[~found]
        for start in np.unique(at).tolist():
            self._by_bucket.setdefault(start, []).append(kept[at == start])
        return found

    def close(self, time_ms: int) -> None:
        """Forget the keys of buckets that are closed at this time of the partition."""
        for start in [start for start in self._by_bucket if self._closed(start, time_ms)]:
            for key in np.concatenate(self._by_bucket.pop(start)).tolist():
                if self._seen.get(key) == start:
                    del self._seen[key]

    def _closed(self, bucket: int, time_ms: int) -> bool:
        return time_ms - self._lateness >= bucket + self._bucket_ms

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays for the state codec."""
        buckets = sorted(self._by_bucket)
        held: Sequence[Hashes] = [np.concatenate(self._by_bucket[start]) for start in buckets]
        return {
            "dedup_buckets": np.array(buckets, np.int64),
            "dedup_sizes": np.array([len(keys) for keys in held], np.int64),
            "dedup_keys": np.concatenate([np.zeros(0, np.uint64), *held]),
        }

    def restore(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Take the keys of a snapshot."""
        ends = np.cumsum(arrays["dedup_sizes"])[:-1]
        held = np.split(arrays["dedup_keys"], ends) if len(arrays["dedup_buckets"]) else []
        for start, keys in zip(arrays["dedup_buckets"].tolist(), held, strict=True):
            self._by_bucket[start] = [keys]
            self._seen.update(dict.fromkeys(keys.tolist(), start))
