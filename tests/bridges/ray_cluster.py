"""Two Ray nodes with one processor each on this machine, in a process of their own. Prints the address; a line "node" kills one, "head" the other, an empty one ends."""

from __future__ import annotations

import os
import sys


def main() -> None:
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, "object_store_memory": 10**8})
    node = cluster.add_node(num_cpus=1, object_store_memory=10**8)
    sys.stdout.write(f"{cluster.address}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        if line.strip() == "node":
            cluster.remove_node(node, allow_graceful=False)
        elif line.strip() == "head":
            cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)
        else:
            break
        sys.stdout.write("done\n")
        sys.stdout.flush()
    cluster.shutdown()


if __name__ == "__main__":
    main()
