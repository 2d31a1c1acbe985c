"""The folder as a source."""

from pathlib import Path

import pytest

from operators.adapters.files import FileSource
from operators.adapters.source import SourceError


def test_a_folder_that_is_not_there_any_more_is_an_error_of_the_source(tmp_path: Path) -> None:
    folder = tmp_path / "input"
    (folder / "telemetry.requests.v1").mkdir(parents=True)
    source = FileSource(folder, follow=True)
    assert [partition.name for partition in source.partitions()] == ["telemetry.requests.v1/0"]
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(SourceError, match="is no folder; it should hold one folder a topic"):
        source.partitions()
