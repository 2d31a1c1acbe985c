"""The pool of Beam's Python workers, which are forked from a process that has loaded their modules.

Loading them takes two seconds of a core, and each job and each restore would wait for it. That process
begins first, beside what this one has to load itself.
"""

import argparse
from multiprocessing import forkserver, set_forkserver_preload


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    set_forkserver_preload(["pipelines.stack.boot", "pipelines.engines.beam"])
    forkserver.ensure_running()
    from pipelines.stack.boot import serve

    serve(port)


if __name__ == "__main__":
    main()
