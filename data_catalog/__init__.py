"""DuckDB knows everything about the data set; the files on disk are the truth."""
