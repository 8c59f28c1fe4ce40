r"""`privpipe reveal` under spark-submit: the same options, the same exit codes.

    spark-submit --properties-file conf/spark/local.conf jobs/reveal.py \
        warehouse/people --columns surname --purpose "case 4711" --target case-4711.parquet

The session is the submit's own.
"""

from __future__ import annotations

import sys

from privpipe.cli import main

if __name__ == "__main__":
    sys.exit(main(["reveal", *sys.argv[1:]]))
