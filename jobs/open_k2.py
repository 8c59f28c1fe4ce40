r"""`privpipe open-k2` under spark-submit: the same options, the same exit codes.

    spark-submit --properties-file conf/spark/local.conf jobs/open_k2.py \
        --source topics/people.parquet --target warehouse/people \
        --columns name,visits --types "visits=array<string>" --keys keyA=secrets/keyA.json

The session is the submit's own. A value that does not authenticate stops it, and nothing is
written; with --on-error null it is written as null.
"""

from __future__ import annotations

import sys

from privpipe.cli import main

if __name__ == "__main__":
    sys.exit(main(["open-k2", *sys.argv[1:]]))
