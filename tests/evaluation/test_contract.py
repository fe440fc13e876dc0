from recsys.testing.metrics import MetricContract


class TestEveryMetric(MetricContract):
    pass
