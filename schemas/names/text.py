"""Which field names carry the text of a prompt or an answer; a sample with one is refused."""

from collections.abc import Mapping

#: Refused at any depth.
TEXT_FIELDS: frozenset[str] = frozenset(
    {
        "prompt",
        "prompts",
        "messages",
        "input",
        "inputs",
        "output",
        "outputs",
        "completion",
        "content",
        "text",
        "response_text",
        "request_body",
        "response_body",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.prompt",
        "gen_ai.completion",
    }
)

#: Last segments that make a dotted name one of text: ``gen_ai.prompt.0.content``, or a dotted name nested.
_SEGMENTS: frozenset[str] = frozenset(name.rpartition(".")[2] for name in TEXT_FIELDS)


def carries_text(name: str, value: object = "") -> bool:
    """Whether a field of this name and value carries text.

    Null is absent, so it carries none. A listed name carries text whatever its value; of a longer dotted
    name the last segment counts, unless the value is a number (``gen_ai.usage.input: 12``).
    """
    if value is None:
        return False
    if name in TEXT_FIELDS:
        return True
    return name.rpartition(".")[2] in _SEGMENTS and not isinstance(value, int | float)


def holds_text(value: object) -> bool:
    """Whether a decoded JSON value holds a text-carrying name at any depth."""
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, Mapping):
            for name, child in node.items():
                if carries_text(name, child):
                    return True
                if isinstance(child, dict | list):
                    pending.append(child)
        elif isinstance(node, list):
            pending.extend(child for child in node if isinstance(child, dict | list))
    return False
