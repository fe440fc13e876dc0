"""The server of a bundle: the Open Inference Protocol and plain JSON rows, over REST and gRPC.

It needs the extra `recsys[serve]`, but for `served`, `batching` and `refusals`.
"""
