"""Workers: processes here, or on the hosts of a cluster, that work through batches. They know nothing of Prefect."""
