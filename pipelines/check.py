"""``driftline check``: is the config right, and what does it come to?"""

import json
from pathlib import Path

import msgspec
import yaml

from pipelines.config import resolve


def command(path: Path | None, *, as_json: bool) -> None:
    """Validate the file (or the defaults with the environment) and print what it resolves to."""
    config = resolve(path)
    tree = msgspec.to_builtins(config)
    hash_ = config.settings.config_hash()
    if as_json:
        print(json.dumps({"file": str(path) if path else None, "config_hash": hash_, "config": tree}))
        return
    print(f"# {path or 'defaults'}: right; config_hash {hash_} (over the settings that can change an event)")
    settings = tree.pop("settings")  # in a file they stand at the top level: what is shown is a config too
    print(yaml.safe_dump(tree | settings, sort_keys=False, allow_unicode=True), end="")
