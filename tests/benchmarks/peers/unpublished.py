"""What libraries without published hyper-parameters are trained on, and the sizes that they get there."""

SETTINGS = [
    ("frappe", "AutoInt"),
    ("frappe", "AutoInt+"),
    ("movielens1m", "AutoInt"),
    ("movielens1m", "AutoInt+"),
    ("beauty", "DIN"),
]
BATCH_SIZES = {"frappe": 4096, "movielens1m": 4096, "beauty": 1024}
DIM = 16
