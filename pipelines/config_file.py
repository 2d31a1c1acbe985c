"""A YAML file into structs, with messages a person can act on: file, line, field, what would be right."""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
import yaml
from msgspec import Struct

T = TypeVar("T", bound=Struct)

#: Field suffixes that are durations, and how many seconds one of them is.
_SUFFIX_S: dict[str, float] = {"_s": 1.0, "_days": 86_400.0}
_UNIT_S: dict[str, float] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_AT = re.compile(r"(?P<what>.*) - at `\$\.?(?P<path>.*)`", re.DOTALL)
_SECRETS = {"password", "username", "user", "secret", "token", "sasl_plain_password", "ssl_password"}


@dataclass(frozen=True, slots=True)
class Source:
    """A config text with its tree, able to say where in it something is wrong."""

    path: Path
    text: str
    tree: dict[str, Any]
    error_type: type[Exception]

    def error(self, field: str, message: str) -> Exception:
        """The error for one field, with its line if it can be found."""
        line = self._line(field)
        where = f"{self.path}:{line}" if line else f"{self.path}"
        return self.error_type(f"{where}: {field}: {message}")

    def unknown(
        self, field: str, known: set[str], *, name: str | None = None, what: str = "field"
    ) -> Exception:
        """The error for a name that does not exist, with the nearest one that does."""
        word = name or field.rsplit(".", 1)[-1]
        if word.lower() in _SECRETS:
            return self.error(
                field,
                "secrets do not stand in the config; name a file (…_file) or set the environment variable",
            )
        near = difflib.get_close_matches(word, sorted(known), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
        return self.error(field, f"unknown {what} {word!r}; {hint}")

    def _line(self, field: str) -> int | None:
        node = yaml.compose(self.text, Loader=yaml.SafeLoader) if self.text else None
        line = None
        for part in re.findall(r"[^.\[\]]+", field):
            if isinstance(node, yaml.MappingNode):
                names = {part, _bare(part) or part}
                pairs = [(key, value) for key, value in node.value if key.value in names]
                if not pairs:
                    break
                key, node = pairs[0]
                line = key.start_mark.line + 1
            elif isinstance(node, yaml.SequenceNode) and part.isdigit() and int(part) < len(node.value):
                node = node.value[int(part)]
                line = node.start_mark.line + 1
            else:
                break
        return line


def read(path: Path, error_type: type[Exception]) -> Source:
    """Read a YAML mapping; raises ``error_type`` when there is none."""
    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.safe_load(text)
    except OSError as problem:
        raise error_type(f"{path}: {problem.strerror or problem}") from None
    except UnicodeDecodeError:
        raise error_type(f"{path}: is not UTF-8 text; a config is one YAML file") from None
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise error_type(f"{path}:{line}: is no YAML: {problem.problem}") from None
    if tree is None:
        tree = {}
    if not isinstance(tree, dict) or not all(isinstance(key, str) for key in tree):
        raise error_type(f"{path}: must be a mapping of fields to values, such as `input: ./telemetry`")
    return Source(path, text, tree, error_type)


def convert(tree: dict[str, Any], kind: type[T], source: Source) -> T:
    """A tree as a struct; unknown names, durations and wrong values raise the source's error."""
    try:
        return msgspec.convert(_named(tree, kind, source, ""), kind)
    except msgspec.ValidationError as problem:
        found = _AT.fullmatch(str(problem))
        field, what = (found["path"], found["what"]) if found else ("", str(problem))
        what = what.replace("Expected", "must be").replace("`", "")
        raise source.error(field, what + _choices(kind, field)) from None


def parse_duration(text: str) -> float | None:
    """Seconds of ``90d``, ``30s``, ``1.5h``, ``500ms``; None when it is no duration."""
    found = _DURATION.fullmatch(text.strip())
    return float(found[1]) * _UNIT_S[found[2]] if found else None


def duration_names(kind: type[Struct]) -> set[str]:
    """The names a struct's duration fields may also be written under."""
    return {bare for name in kind.__struct_fields__ if (bare := _bare(name))}


def schema_with_durations(schema: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema with each duration field's second name added, wherever properties are declared."""
    pattern = {"type": "string", "pattern": f"^{_DURATION.pattern}$"}
    for part in [schema, *schema.get("$defs", {}).values()]:
        properties = part.get("properties", {})
        part["properties"] = properties | {bare: pattern for name in properties if (bare := _bare(name))}
    return schema


def _bare(name: str) -> str | None:
    return next((name.removesuffix(end) for end in _SUFFIX_S if name.endswith(end)), None)


def _choices(kind: Any, field: str) -> str:
    """The words a field of fixed choices takes, as a hint."""
    for part in field.split("."):
        hints = get_type_hints(kind) if isinstance(kind, type) and issubclass(kind, Struct) else {}
        kind = hints.get(part)
    literals = [choice for choice in (kind, *get_args(kind)) if get_origin(choice) is Literal]
    words = [word for choice in literals for word in get_args(choice)]
    return f"; one of {', '.join(words)}" if words else ""


def _named(tree: Any, kind: type[Struct], source: Source, path: str) -> Any:
    """The tree under the struct's own field names, durations as numbers."""
    if not isinstance(tree, dict):
        return tree
    hints = get_type_hints(kind)
    full = {bare: name for name in hints if (bare := _bare(name))}
    named: dict[str, Any] = {}
    for key, value in tree.items():
        where = f"{path}{key}"
        name = full.get(key, key)
        if name not in hints:
            raise source.unknown(where, {_bare(field) or field for field in hints})
        if name in named:
            raise source.error(where, f"is given twice, also as {name}")
        if _bare(name) and (isinstance(value, str) or key in full):
            value = _number(value, name, where, source)
        nested = hints[name]
        if isinstance(nested, type) and issubclass(nested, Struct):
            value = _named(value, nested, source, f"{where}.")
        named[name] = value
    return named


def _number(value: Any, name: str, where: str, source: Source) -> float | int:
    seconds = parse_duration(value) if isinstance(value, str) else None
    if seconds is None:
        raise source.error(
            where, f"{value!r} is no duration; write a number and a unit, such as 30s, 5m, 90d"
        )
    unit = next(size for end, size in _SUFFIX_S.items() if name.endswith(end))
    number = seconds / unit
    return int(number) if number.is_integer() else number
