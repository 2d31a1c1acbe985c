"""No type is read for the first time where there may be threads: that crashes (`schemas.plans`)."""

import json
import subprocess
import sys

# In a process of its own, whose msgspec tells which types it works out how to read.
_ASKED = """
import ast, importlib, importlib.util, json, pkgutil, sys
from pathlib import Path

home = Path(importlib.util.find_spec("msgspec").origin).parent
spec = importlib.util.spec_from_file_location("msgspec._utils", home / "_utils.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
asked, annotations = [], module.get_class_annotations
module.get_class_annotations = lambda of: (asked.append(of), annotations(of))[1]
sys.modules["msgspec._utils"] = module
import msgspec

def types(tree, names):
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            called = getattr(call.func, "attr", getattr(call.func, "id", ""))
            given = [each.value for each in call.keywords if each.arg == "type"] + call.args[1:2]
            if called in ("decode", "convert") and given:
                try:
                    yield eval(ast.unparse(given[0]), names)
                except NameError:
                    pass  # a type that was handed in

read = []
for root in map(importlib.import_module, ("schemas", "operators", "pipelines.engines")):
    for found in pkgutil.walk_packages(root.__path__, root.__name__ + "."):
        if not found.name.endswith("__main__"):
            each = importlib.import_module(found.name)
            read += types(ast.parse(Path(each.__file__).read_text()), vars(each))
from schemas.wire.otlp.json import POINT, Span
class Unprepared(msgspec.Struct):
    of: int
read += [Span, *POINT.values(), Unprepared]
asked.clear()
for each in read:
    if not isinstance(each, (str, int, bool)):
        msgspec.msgpack.Decoder(each)
print(json.dumps([len(read), [of.__qualname__ for of in asked]]))
"""


def test_every_type_that_is_read_was_prepared() -> None:
    """All but one, that shows that the test sees such a type."""
    done = subprocess.run([sys.executable, "-c", _ASKED], capture_output=True, text=True, check=True)
    read, asked = json.loads(done.stdout.splitlines()[-1])
    assert read > 15
    assert asked == ["Unprepared"]
