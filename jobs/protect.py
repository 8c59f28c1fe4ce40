r"""`privpipe protect` under spark-submit: the same options, the same exit codes.

    spark-submit --properties-file conf/spark/local.conf jobs/protect.py \
        conf/policies/people.yaml --source people.csv --target warehouse/people \
        --run-id people-2024-11-30

The session is the submit's own. A scheduler may repeat it: the same --run-id changes nothing.
"""

from __future__ import annotations

import sys

from privpipe.cli import main

if __name__ == "__main__":
    sys.exit(main(["protect", *sys.argv[1:]]))
