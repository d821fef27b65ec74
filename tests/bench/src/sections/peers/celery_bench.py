"""Celery on Redis: `worker` is started by its name in this module, `run` measures."""

import os
import subprocess
import sys
import time

from celery import Celery, group

url = os.environ["BENCH_REDIS"]
app = Celery("celery_bench", broker=url, backend=url)


@app.task
def true():
    return subprocess.run(["/bin/true"], check=True).returncode


if __name__ == "__main__":
    count, singles = int(sys.argv[1]), int(sys.argv[2])
    true.delay().get(timeout=60)
    begun = time.monotonic()
    if count:
        group(true.s() for _ in range(count)).apply_async().join(timeout=600)
    print(time.monotonic() - begun)
    for _ in range(singles):
        begun = time.monotonic()
        true.delay().get(timeout=60)
        print((time.monotonic() - begun) * 1000)
