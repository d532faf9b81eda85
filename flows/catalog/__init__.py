"""Files on disk to rows of the catalog: manifests, ledgers, versions, decisions."""
