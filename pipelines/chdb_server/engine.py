"""Statements on the embedded engine, each on a connection of its own: no session outlives a request."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from tempfile import NamedTemporaryFile
from typing import Any

import chdb

_NAME = r"(?:\w+|`[^`]*`|\"[^\"]*\")"
#: An insert whose rows follow in a format: all that stands before them. Its rows may be binary.
_INSERT = re.compile(
    rf"""\s*(?P<into>INSERT\s+INTO\s+(?:TABLE\s+)?{_NAME}(?:\s*\.\s*{_NAME})?\s*
    (?:\((?:[^()'`"]|`[^`]*`|"[^"]*")*\)\s*)?)
    (?P<settings>SETTINGS\s(?:[^'"`]|'(?:[^'\\]|\\.)*')*?)?
    \bFORMAT\s+(?P<format>\w+)[ \t\f]*\r?\n?""".encode(),
    re.I | re.X | re.S,
)
_HEAD_BYTES = 65_536
_FORMAT = re.compile(rb"\bFORMAT\s+(\w+)\s*;?\s*\Z", re.I)
_READS = re.compile(rb"\s*\(*\s*(?:SELECT|WITH|SHOW|DESC|DESCRIBE|EXPLAIN|EXISTS)\b", re.I)
_CODE = re.compile(r"Code: (\d+)\. DB::")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement with what a request says about it.

    Attributes:
        text: SQL, followed by the rows where it is an insert with a format.
        database: the one that bare table names belong to.
        settings: ClickHouse settings, for this statement alone.
        parameters: values of ``{name:Type}`` placeholders, escaped as HTTP clients escape them.
        format: of the answer where the statement names none.
    """

    text: bytes
    database: str = "default"
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    format: str = "TabSeparated"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement gave: its rows in `format` (None if it gives none), and its counts as JSON."""

    body: bytes
    format: str | None
    summary: str


class EngineError(Exception):
    """ClickHouse refused, in its own words."""

    def __init__(self, problem: Exception):
        words = str(problem)
        found = _CODE.search(words)
        super().__init__(words[found.start() :].strip() if found else words)
        self.code = int(found[1]) if found else 1002  # UNKNOWN_EXCEPTION


class Engine:
    """The engine on one folder; `run` may be called from several threads.

    One connection stays open: the engine itself would end with its last.
    """

    def __init__(self, folder: str):
        self._folder = folder
        self._held = chdb.connect(folder)  # type: ignore[no-untyped-call,unused-ignore]
        self.version: str
        self.timezone: str
        self.version, self.timezone = json.loads(
            self._held.query("SELECT version(), timezone()", "JSONCompactEachRow").bytes()
        )

    def run(self, statement: Statement) -> Answer:
        """Run a statement to its end.

        Raises:
            EngineError: ClickHouse refuses it.
        """
        connection = chdb.connect(self._folder)  # type: ignore[no-untyped-call,unused-ignore]
        try:
            return _run(connection, statement)
        except (RuntimeError, chdb.ChdbError) as problem:
            raise EngineError(problem) from problem
        finally:
            connection.close()

    def close(self) -> None:
        """Let the engine write what it holds, and end."""
        self._held.close()


def _run(connection: Any, statement: Statement) -> Answer:
    if statement.database != "default":
        connection.query(f"USE {_quoted(statement.database, '`')}")
    if statement.settings:  # after USE, since one of them may be readonly
        pairs = (f"{_quoted(name, '`')} = {_quoted(value)}" for name, value in statement.settings.items())
        connection.query(f"SET {', '.join(pairs)}")
    if insert := _INSERT.match(statement.text[:_HEAD_BYTES]):
        return _insert(connection, insert, statement)
    result = connection.query(statement.text, statement.format, params=dict(statement.parameters))
    body = result.bytes() or b""
    named = _FORMAT.search(statement.text)
    answers = body or _READS.match(statement.text)
    summary = _summary(result, read_rows=result.rows_read(), read_bytes=result.bytes_read())
    return Answer(body, (named[1].decode() if named else statement.format) if answers else None, summary)


def _insert(connection: Any, insert: re.Match[bytes], statement: Statement) -> Answer:
    # by a file: chDB's send_insert says that rows are written when the engine could not, as on a full disk
    with NamedTemporaryFile(suffix=".rows") as rows:
        try:
            rows.write(memoryview(statement.text)[insert.end() :])
            rows.flush()
        except OSError as problem:
            raise EngineError(OSError(f"Code: 243. DB::Exception: {problem} (NOT_ENOUGH_SPACE)")) from problem
        into, settings, form = (insert[name] or b"" for name in ("into", "settings", "format"))
        infile = f"FROM INFILE {_quoted(rows.name)} COMPRESSION 'none'".encode()
        result = connection.query(b" ".join((into, infile, settings, b"FORMAT", form)), "Null")
    # the engine reads what it writes, and counts it as read
    return Answer(
        b"", None, _summary(result, written_rows=result.rows_read(), written_bytes=result.bytes_read())
    )


def _summary(result: Any, **counts: int) -> str:
    named = ("read_rows", "read_bytes", "written_rows", "written_bytes")
    figures = dict.fromkeys(named, 0) | counts | {"elapsed_ns": int(result.elapsed() * 1e9)}
    return json.dumps({name: str(figure) for name, figure in figures.items()})


def _quoted(text: str, quote: str = "'") -> str:
    return quote + text.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote
