"""Video files, data sets and the DataModules that turn them into batches."""
