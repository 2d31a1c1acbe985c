"""What ``faust -A pipelines.faust_app worker`` runs: the app of the config in ``DRIFTLINE_CONFIG``."""

import os
import sys
from pathlib import Path

from pipelines.config import check_runnable, resolve
from pipelines.engines.faust import App, make_app
from pipelines.errors import UsageError


def _app() -> App:
    file = os.environ.get("DRIFTLINE_CONFIG")
    try:
        if not file:
            raise UsageError("DRIFTLINE_CONFIG names no file: set it to a config whose `input:` is Kafka")
        config = resolve(Path(file), engine="faust")
        check_runnable(config)
        return make_app(config)
    except UsageError as problem:
        print(f"driftline: {problem}", file=sys.stderr)
        sys.exit(2)


app = _app()
