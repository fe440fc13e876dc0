"""The part of a server that all transports share: names, metadata, scores."""

from typing import Any

import numpy as np

from recsys import __version__
from recsys.serving.protocol.layout import Batch
from recsys.serving.protocol.request import Answer, InferRequest, WantedOutput, wanted_outputs
from recsys.serving.protocol.rows import read_ranking, read_rows
from recsys.serving.server.batching import Batcher
from recsys.serving.server.metrics import Metrics
from recsys.serving.server.options import Limits
from recsys.serving.server.refusals import NotFound
from recsys.serving.server.served import ServedBundle

__all__ = ["EXTENSIONS", "Service"]

EXTENSIONS = ("binary_tensor_data",)
PLATFORM = "pytorch_torchscript"


class Service:
    """One bundle and those that take its place.

    Args:
        name: name of the model in requests.
        bundle: the first bundle.
        limits: what may be asked for.
    """

    def __init__(self, name: str, bundle: ServedBundle, limits: Limits) -> None:
        self.name = name
        self.limits = limits
        self.is_draining = False
        self.metrics = Metrics()
        self.batcher = Batcher(
            max_cost=limits.max_merged, max_waiting=limits.max_waiting, on_call=self.metrics.calls.inc
        )
        self.metrics.waiting.set_function(lambda: self.batcher.num_waiting)
        self.bundle = bundle
        self.metrics.show_bundle(name, bundle.version)

    def replace(self, bundle: ServedBundle) -> None:
        """Serve another bundle; requests that were read for the former one are answered by it."""
        self.bundle = bundle
        self.metrics.show_bundle(self.name, bundle.version)

    def check_model(self, name: str, version: str = "") -> None:
        """Refuse a name or version that is not served.

        Raises:
            NotFound: it is not.
        """
        if name != self.name:
            raise NotFound(f"there is no model {name!r}; this server has {self.name!r}")
        if version not in ("", self.bundle.version):
            raise NotFound(f"there is no version {version!r} of {name!r}; this server has {self.bundle.version!r}")

    def server_metadata(self) -> dict[str, Any]:
        """Describe the server."""
        return {"name": "recsys", "version": __version__, "extensions": list(EXTENSIONS)}

    def model_metadata(self) -> dict[str, Any]:
        """Describe the model."""
        bundle = self.bundle
        inputs = [{"name": spec.name, "datatype": spec.datatype, "shape": [-1]} for spec in bundle.layout.specs]
        outputs = [{"name": name, "datatype": "FP64", "shape": [-1]} for name in bundle.outputs]
        described = {"name": self.name, "versions": [bundle.version], "platform": PLATFORM}
        return {**described, "inputs": inputs, "outputs": outputs}

    async def infer(self, request: InferRequest) -> tuple[Answer, list[WantedOutput]]:
        """Return the scores of a request, and which of them it wants.

        Raises:
            DataError: the request does not fit; the message names the input.
            Overloaded: too many requests wait.
        """
        bundle = self.bundle
        wanted = wanted_outputs(request, bundle.outputs)
        return await self._answer(request.id, bundle, bundle.layout.decode(request.tensors)), wanted

    async def score_rows(self, content: dict[str, Any]) -> Answer:
        """Return the scores of plain JSON rows.

        Raises:
            DataError: a row does not fit; the message names the column.
            Overloaded: too many requests wait.
        """
        bundle = self.bundle
        request_id, frame = read_rows(content, bundle.scorer.columns, max_rows=self.limits.max_rows)
        return await self._answer(request_id, bundle, bundle.rows(frame))

    async def rank(self, content: dict[str, Any]) -> Answer:
        """Return the scores of one user's candidates, given as plain JSON.

        Raises:
            DataError: a value does not fit; the message names the column.
            Overloaded: too many requests wait.
        """
        bundle = self.bundle
        of_user, of_candidates = (bundle.scorer.columns_of(user=user) for user in (True, False))
        request_id, rows = read_ranking(content, of_user, of_candidates, max_rows=self.limits.max_rows)
        return await self._answer(request_id, bundle, bundle.ranking(rows))

    async def _answer(self, request_id: str, bundle: ServedBundle, batch: Batch) -> Answer:
        self.metrics.rows.observe(batch.num_rows)
        scores_BT = await self.batcher.score(bundle, batch)
        scores = {name: np.ascontiguousarray(scores_BT[:, task]) for task, name in enumerate(bundle.outputs)}
        return Answer(request_id, self.name, bundle.version, scores)
