"""Raw columns -> ids and floats: readers of files, fitting on the training split, and the fitted transform."""
