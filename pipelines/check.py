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
    # what the files hold is long, and no part of a config
    sentinels = [each.told() for each in config.settings.embeddings.sentinels or ()]
    if sentinels:
        tree["settings"]["embeddings"]["sentinels"] = sentinels
    hash_ = config.settings.config_hash()
    if as_json:
        print(json.dumps({"file": str(path) if path else None, "config_hash": hash_, "config": tree}))
        return
    print(f"# {path or 'defaults'}: right; config_hash {hash_} (over the settings that can change an event)")
    for each in tree["settings"]["embeddings"].pop("sentinels", ()):
        print(f"# embeddings.sentinels: {each}")
    settings = tree.pop("settings")  # in a file they stand at the top level: what is shown is a config too
    print(yaml.safe_dump(tree | settings, sort_keys=False, allow_unicode=True), end="")
