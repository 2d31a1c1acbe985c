"""Beam's own ``ml.anomaly`` ZScore, keyed, on the FnApiRunner: what the scalar path is compared with."""

import time
import warnings

import numpy as np


def run(elements: int = 20_000, keys: int = 20) -> dict[str, object]:
    """Elements a second through `AnomalyDetection(ZScore)`, one `beam.Row` an element."""
    import apache_beam as beam
    from apache_beam.ml.anomaly.detectors.zscore import ZScore
    from apache_beam.ml.anomaly.transforms import AnomalyDetection
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    values = np.random.default_rng(0).normal(size=elements)
    rows = [(f"s{i % keys}", beam.Row(x1=float(value))) for i, value in enumerate(values)]
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            _ = (
                pipeline
                | beam.Create(rows)
                | AnomalyDetection(ZScore(features=["x1"]))
                | beam.Map(lambda _: None)
            )
    return {"elements": elements, "elements_per_s": elements / (time.perf_counter() - start)}
