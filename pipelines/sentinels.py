"""Sentinel files: made of vectors of known-bad answers, read where a config names them.

A file is one ``.npz`` of numbers and names for one embedder version, dimension and side; it holds centroids,
no text and no single answer.
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from operators.settings import SentinelSet
from pipelines.errors import UsageError

Side = Literal["output", "prompt"]
Floats = npt.NDArray[np.float64]

#: Every fifth known-bad vector, and as many ordinary ones, are held back to check with.
_HELD_BACK = 5
#: Fewer ordinary vectors say little of their scatter.
_LEAST_ORDINARY = 500
_FIELDS = ("embedder_version", "side", "names", "of", "centroids")


def fit(
    files: Sequence[Path],
    *,
    name: str,
    embedder_version: str,
    out: Path,
    side: Side = "output",
    ordinary: Sequence[Path] = (),
    centroids: int = 4,
) -> dict[str, Any]:
    """Make a sentinel, or make one of a file anew; other sentinels of the file stay.

    Args:
        files: Vectors of known-bad answers: ``.npy`` [rows, dim], Arrow or Parquet with a column ``vector``.
        name: Of the sentinel: lower-case letters, digits, ``-`` and ``_``.
        embedder_version: As in the telemetry whose vectors it will be held against.
        out: The sentinel file.
        side: Answers (``output``) or prompts.
        ordinary: Vectors of ordinary answers to check with.
        centroids: Kinds of bad answers to tell apart.

    Returns:
        What was made; with ``ordinary`` the shares of known-bad and of ordinary vectors held back that lie
        near.

    Raises:
        UsageError: A file is none of vectors, or is of another embedder or dimension than the sentinel file.
    """
    from gpu_scorers.sentinels import Sentinels

    if out.suffix != ".npz":
        raise UsageError(f"--out {out}: a sentinel file is named *.npz")
    bad = _all_vectors(files, embedder_version)
    known = read(out) if out.exists() else None
    asked = f"{embedder_version} with {bad.shape[1]} dimensions ({side}s)"
    if known and (known.embedder_version, known.dim, known.side) != (embedder_version, bad.shape[1], side):
        raise UsageError(
            f"{out} is for {known.embedder_version} with {known.dim} dimensions ({known.side}s), the vectors "
            f"are of {asked}: a file of their own is needed"
        )
    try:
        whole = Sentinels.fit(bad, centroids).centroids
    except ValueError as error:
        raise UsageError(f"{', '.join(map(str, files))}: {error}") from error
    kept = {} if known is None else by_name(known)
    made = _set(embedder_version, side, kept | {name: whole})
    _write(out, made)
    report: dict[str, Any] = {
        "file": str(out),
        "embedder_version": embedder_version,
        "dimensions": made.dim,
        "sentinels": list(made.names),
        "vectors": len(bad),
    }
    if ordinary:
        report |= _checked(bad, _all_vectors(ordinary, embedder_version), centroids)
    return report


def told(report: dict[str, Any]) -> str:
    """The report of `fit` for people."""
    text = (
        f"{report['file']}: {', '.join(report['sentinels'])}, for {report['embedder_version']} with "
        f"{report['dimensions']} dimensions, from {report['vectors']:,} vectors"
    )
    if "near" in report:
        text += (
            f"\nof those held back, {report['near']:.1%} of the known-bad lie near and "
            f"{report['ordinary_near']:.2%} of the ordinary ones"
        )
        if not report["tells"]:
            text += "\nthese two can hardly be told apart: the sentinel will find little"
    return text


def read(path: Path) -> SentinelSet:
    """The sentinels of a file; raises `UsageError` where it is none."""
    try:
        if path.is_file() and not zipfile.is_zipfile(path):
            raise ValueError("it is no .npz")
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in _FIELDS}
        centroids = found["centroids"].astype("<f4")
        rows, dim = centroids.shape
        if not rows or not np.isfinite(centroids).all():
            raise ValueError("its centroids are not finite")
        made = msgspec.convert(
            {
                "embedder_version": str(found["embedder_version"]),
                "side": str(found["side"]),
                "dim": dim,
                "names": [str(name) for name in found["names"]],
                "of": [int(place) for place in found["of"]],
                "centroids": centroids.tobytes(),
            },
            SentinelSet,
        )
        if len(made.of) != rows or {*made.of} != {*range(len(made.names))}:
            raise ValueError("its names and centroids do not match")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or 'cannot be read'}") from None
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(
            f"{path}: no sentinel file ({error}); make one with driftline sentinels fit"
        ) from None
    return made


def read_all(paths: Sequence[str]) -> tuple[SentinelSet, ...]:
    """Sentinels of files, one for each embedder version and side; raises `UsageError`."""
    found: dict[tuple[str, str], tuple[str, SentinelSet]] = {}
    for path in paths:
        made = read(Path(path))
        other, each = found.setdefault((made.embedder_version, made.side), (path, made))
        if each is not made:
            raise UsageError(
                f"{path} holds {made.told()}, {other} {each.told()}: one file for both is needed"
            )
    return tuple(made for _, made in found.values())


def by_name(made: SentinelSet) -> dict[str, Floats]:
    """Centroids of each sentinel, [centroids, dim]."""
    rows = np.frombuffer(made.centroids, "<f4").reshape(-1, made.dim).astype(np.float64)
    return {name: rows[np.array(made.of) == place] for place, name in enumerate(made.names)}


def _set(embedder_version: str, side: Side, named: dict[str, Floats]) -> SentinelSet:
    rows = np.concatenate([*named.values()]).astype("<f4")
    tree = {
        "embedder_version": embedder_version,
        "side": side,
        "dim": rows.shape[1],
        "names": [*named],
        "of": [place for place, each in enumerate(named.values()) for _ in each],
        "centroids": rows.tobytes(),
    }
    try:
        return msgspec.convert(tree, SentinelSet)
    except msgspec.ValidationError as error:
        raise UsageError(f"--name: lower-case letters, digits, - and _ make a name ({error})") from None


def _write(path: Path, made: SentinelSet) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new.npz")
    np.savez(
        fresh,
        embedder_version=np.array(made.embedder_version),
        side=np.array(made.side),
        names=np.array(made.names),
        of=np.array(made.of, np.int64),
        centroids=np.frombuffer(made.centroids, "<f4").reshape(-1, made.dim),
    )
    fresh.replace(path)


def _checked(bad: Floats, ordinary: Floats, centroids: int) -> dict[str, Any]:
    """How many of the vectors that nothing was fitted to lie near a sentinel of the others."""
    from gpu_scorers.sentinels import Sentinels

    if ordinary.shape[1] != bad.shape[1]:
        raise UsageError(
            f"the ordinary vectors have {ordinary.shape[1]} dimensions, the known-bad ones {bad.shape[1]}"
        )
    if len(ordinary) < _LEAST_ORDINARY:
        raise UsageError(f"--ordinary: {len(ordinary)} vectors; at least {_LEAST_ORDINARY} are needed")
    held, shown = (np.arange(len(bad)) % _HELD_BACK == 0, np.arange(len(ordinary)) % _HELD_BACK == 0)
    try:
        tried = Sentinels.fit(bad[~held], centroids)
    except ValueError as error:
        raise UsageError(f"too few to hold some back: {error}") from error
    caught, wrong = (float(tried.near(ordinary[~shown], x).mean()) for x in (bad[held], ordinary[shown]))
    return {"near": caught, "ordinary_near": wrong, "tells": caught >= 0.2 and caught >= 10 * wrong}


def _all_vectors(files: Sequence[Path], embedder_version: str) -> Floats:
    every = [_vectors(path, embedder_version) for path in files]
    for path, each in zip(files, every, strict=True):
        if each.shape[1] != every[0].shape[1]:
            raise UsageError(
                f"{path} has vectors of {each.shape[1]} dimensions, {files[0]} of {every[0].shape[1]}"
            )
    return np.concatenate(every)


def _vectors(path: Path, embedder_version: str) -> Floats:
    """Vectors of a file, f64 [rows, dim]; finite."""
    try:
        rows = np.load(path, allow_pickle=False) if path.suffix == ".npy" else _column(path, embedder_version)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or 'no file of vectors'}") from None
    except (ValueError, EOFError, KeyError, pa.ArrowException) as error:
        raise UsageError(
            f"{path}: no .npy file [rows, dimensions], nor an Arrow or Parquet file with a column vector "
            f"of equally long lists of numbers ({error})"
        ) from None
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or not rows.size or rows.dtype.kind != "f":
        raise UsageError(f"{path}: floats of shape [rows, dimensions] are needed, and some of them")
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise UsageError(f"{path}: row {int(bad[0])} (0-based) has NaN or infinite numbers")
    return rows.astype(np.float64)


def _column(path: Path, embedder_version: str) -> npt.NDArray[np.floating]:
    if path.suffix == ".parquet":
        table = pq.read_table(path)
    else:
        with pa.memory_map(str(path)) as source:
            try:
                table = pa.ipc.open_file(source).read_all()
            except pa.ArrowInvalid:
                source.seek(0)
                table = pa.ipc.open_stream(source).read_all()
    if "embedder_version" in table.schema.names:
        versions = {str(each) for each in table.column("embedder_version").unique().to_pylist()}
        if versions - {embedder_version}:
            raise UsageError(
                f"{path}: its vectors are of {', '.join(sorted(versions))}, not {embedder_version}"
            )
    column = table.column("vector").combine_chunks()
    lengths = {*column.value_lengths().unique().to_pylist()} if len(column) else {0}
    if len(lengths) != 1 or None in lengths:
        raise ValueError("vectors differ in length")
    flat: npt.NDArray[np.floating] = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(column), -1)
