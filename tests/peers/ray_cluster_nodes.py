"""A cluster of four simulated nodes: two are killed at random moments, and the driver once.

``python ray_cluster_nodes.py FOLDER SEED N_SHARDS``; prints what was killed when, and ends with the
driver's exit code.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from ray.cluster_utils import Cluster

DRIVER = Path(__file__).with_name("ray_cluster_driver.py")
MOST_S = 300


def n_received():
    """Rows that the server received so far."""
    server = Path(os.environ["SERVER"])
    return server.read_bytes().count(b"\n") if server.exists() else 0


def main(folder, seed, n_shards):
    """Kill at three moments, by the number of rows that the server received."""
    rng = random.Random(seed)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(4)]
    command = [sys.executable, str(DRIVER), cluster.address, folder, n_shards]
    driver = subprocess.Popen(command)
    moments = sorted(rng.sample(range(60, 1000), 3))
    victims = rng.sample(["node", "node", "driver"], 3)
    ends = time.monotonic() + MOST_S
    while driver.poll() is None and time.monotonic() < ends:
        if moments and n_received() >= moments[0]:
            moments.pop(0)
            what = victims.pop(0)
            print(f"killed the {what} after {n_received()} rows", flush=True)
            if what == "node":
                cluster.remove_node(nodes.pop(rng.randrange(len(nodes))), allow_graceful=False)
            else:
                driver.send_signal(signal.SIGKILL)
                driver.wait()
                driver = subprocess.Popen(command)
        time.sleep(0.02)
    code = driver.poll()
    if code is None:
        driver.kill()
    cluster.shutdown()
    return 1 if code is None or victims else code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
