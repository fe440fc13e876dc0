"""Other libraries for CTR models, each trained by its own loop on the rows that recsys trains on."""
