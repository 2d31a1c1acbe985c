"""Config: what is right is read, what is wrong is named with its line and with what would be right."""

from pathlib import Path

import jsonschema
import msgspec
import pytest
import yaml

from operators.settings import Settings
from pipelines import config as module
from pipelines.config import Config, ConfigError, load, resolve

GOOD = """
input: ./telemetry
clickhouse: http://127.0.0.1:8123/driftline
correlate: 1m
shards: 4
alarm_budget: {per_series: 90d, fleet_fdr: 0.05}
windows:
  bucket: 10s
  lateness: 1m
  detect_s: 120
kafka: {group: blue, security_protocol: SASL_SSL, password_file: /run/secrets/kafka}
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "driftline.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_config_is_read_with_durations(tmp_path: Path) -> None:
    config = load(write(tmp_path, GOOD))
    assert config.settings.shards == 4
    assert (config.settings.windows.lateness_s, config.settings.windows.detect_s) == (60, 120)
    assert config.settings.detection.alarm_budget.per_series_days == 90
    assert (config.correlate_s, config.kafka.group) == (60, "blue")


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    assert load(write(tmp_path, "")) == Config()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("windows:\n  buckets: 10s\n", ["driftline.yaml:2", "windows.buckets", "did you mean 'bucket'"]),
        ("inpt: x\n", ["driftline.yaml:1", "inpt", "did you mean 'input'"]),
        ("shards: many\n", ["driftline.yaml:1", "shards", "must be int"]),
        ("shards: 0\n", ["shards", ">= 1"]),
        ("windows: {bucket: soon}\n", ["windows.bucket", "no duration", "30s"]),
        ("windows: {bucket: 10s, bucket_s: 10}\n", ["given twice"]),
        ("windows: {bucket: 7s, detect: 1m}\n", ["windows.detect", "multiple"]),
        ("engine: flink\n", ["engine", "'flink'", "one of beam, faust, local"]),
        ("kafka: {sasl_mechanism: MD5}\n", ["kafka.sasl_mechanism", "one of PLAIN, SCRAM"]),
        ("slices:\n  sets: [[service, modle]]\n", ["modle", "identity field"]),
        ("detection: {per_signal: {hw.powr: []}}\n", ["hw.powr", "did you mean 'hw.power'"]),
        ("detection: {detectors: [spike/2]}\n", ["spike/2", "did you mean 'spike/1'"]),
        ("detection: {per_signal: {hw.power mean: [+adwn/1]}}\n", ["adwn/1", "did you mean 'adwin/1'"]),
        ("kafka: {password: hunter2}\n", ["kafka.password", "secrets do not stand in the config"]),
        ("clickhouse: http://me:pw@host/db\n", ["clickhouse", "DRIFTLINE_CLICKHOUSE_PASSWORD"]),
        ("clickhouse: postgres://x\n", ["clickhouse", "chdb:PATH"]),
        ("input: kafka://broker\n", ["input", "lacks a port"]),
        ("input: s3://bucket\n", ["input", "kafka://HOST:PORT"]),
        ("observe: somewhere\n", ["driftline.yaml:1", "observe", "HOST:PORT"]),
        ("log_format: xml\n", ["log_format", "one of text, json"]),
        ("a: [1\n", ["driftline.yaml", "is no YAML"]),
        ("- 1\n", ["must be a mapping"]),
        ("alarm_budget: {per_serie: 9d}\n", ["per_serie", "did you mean 'per_series'"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, says: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text))
    for part in says:
        assert part in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_missing_file_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: No such file"):
        load(tmp_path / "nowhere.yaml")


def test_flags_win_over_environment_over_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "clickhouse: chdb:file\n")
    monkeypatch.delenv("DRIFTLINE_CLICKHOUSE", raising=False)
    assert resolve().clickhouse == "chdb:./driftline-data"
    assert resolve(path).clickhouse == "chdb:file"
    monkeypatch.setenv("DRIFTLINE_CLICKHOUSE", "chdb:environment")
    assert resolve(path).clickhouse == "chdb:environment"
    assert resolve(path, clickhouse="chdb:flag").clickhouse == "chdb:flag"


def test_the_embedded_store_serves_one_process(tmp_path: Path) -> None:
    config = resolve(input=str(tmp_path), engine="beam", runner="flink", clickhouse="chdb:x")
    with pytest.raises(ConfigError, match="one process at a time"):
        module.check_runnable(config)


def test_the_schema_takes_what_load_takes_and_is_exported() -> None:
    schema = module.json_schema()
    jsonschema.validate(yaml.safe_load(GOOD), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"inpt": "x"}, schema)
    assert module.main(["--check"]) == 0


def test_where_data_comes_from_does_not_change_the_config_hash(tmp_path: Path) -> None:
    here, there = resolve(input="a"), resolve(input="b", clickhouse="chdb:c")
    assert here.settings.config_hash() == there.settings.config_hash() == Settings().config_hash()
    assert msgspec.structs.replace(Settings(), shards=3).config_hash() != Settings().config_hash()
