"""The schema files are the structs', and the check notices when they are not."""

from pathlib import Path

import pytest

from schemas import json_schema


def test_the_files_are_up_to_date() -> None:
    assert json_schema.main(["--check"]) == 0


def test_a_file_that_differs_or_is_gone_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(json_schema, "FOLDER", tmp_path)
    assert json_schema.main(["--check"]) == 1
    assert json_schema.main(["--write"]) == 0
    assert json_schema.main(["--check"]) == 0
    capsys.readouterr()
    (tmp_path / "changes.v1.schema.json").write_text("{}")
    assert json_schema.main(["--check"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "changes.v1.schema.json differs from its struct: run python -m schemas.json_schema --write"
    ]


def test_other_arguments_are_wrong_use() -> None:
    assert json_schema.main([]) == 2
