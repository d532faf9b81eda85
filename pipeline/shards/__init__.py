"""From clips to samples in webdataset tars: augmentation, encoding, packing, verifying."""
