r"""`privpipe features run` under spark-submit: the same options, the same exit codes.

    spark-submit --properties-file conf/spark/local.conf jobs/features.py \
        conf/features/census.yaml --target warehouse/wages --run-id wages-2024-11-30

The session is the submit's own. A scheduler may repeat it: the same --run-id changes nothing, and
is charged once.
"""

from __future__ import annotations

import sys

from privpipe.cli import main

if __name__ == "__main__":
    sys.exit(main(["features", "run", *sys.argv[1:]]))
