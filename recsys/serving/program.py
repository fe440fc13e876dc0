"""A bundle's model as a program of torch.export (`model.pt2`).

A program checks neither names nor types nor lengths, so that they are checked here. torch reads parts of such a file by
unpickling if the file says so; a file with such parts is refused.

Dimension key: G users, B candidates, V entries of all lists of one input.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from torch import Tensor

from recsys.bundle_folder import CANDIDATE_LENGTHS
from recsys.data.model_inputs import Inputs, repeated_entries, take, take_list
from recsys.errors import DataError

__all__ = ["InputError", "Program"]

EMPTY_PARTS = ("data/sample_inputs/",)
"""Parts of a file that torch unpickles; `recsys export` leaves them empty."""
CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
"""Parts that say which tensors are pickled; `recsys export` writes none."""


class InputError(RuntimeError):
    """Inputs that do not fit the model or each other."""


class Program:
    """A loaded program, which is called as the TorchScript form is.

    Args:
        path: the file.
        inputs: the entrance of the model, which checks inputs.
        declared: `inputs` of the signature.

    Raises:
        DataError: the file is damaged, or has parts that torch would unpickle.
    """

    def __init__(self, path: Path, inputs: Inputs, declared: Sequence[Mapping[str, Any]]) -> None:
        check_archive(path)
        self._module = torch.export.load(path).module()
        self._inputs = inputs
        self._tensors = [tensor for one in declared for tensor in one["tensors"]]
        self._of_user = [one["name"] for one in declared if one.get("user")]

    def __call__(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return the probabilities, (B, T) float64.

        Candidates of users whose inputs stand once get these repeated: a program has one form.

        Raises:
            InputError: an input is missing, or does not fit.
        """
        try:
            plain = self._plain_rows(inputs) if CANDIDATE_LENGTHS in inputs else inputs
            self._inputs(plain)
        except RuntimeError as error:
            raise InputError(str(error)) from error
        scores: Tensor = self._module({name: plain[name] for name in self._tensors})
        return scores

    def _plain_rows(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        user_B = torch.repeat_interleave(inputs[CANDIDATE_LENGTHS])
        num_users = inputs[CANDIDATE_LENGTHS].numel()
        plain = dict(inputs)
        for name in self._of_user:
            if name in self._inputs.lists:
                value_V, length_G = take_list(inputs, name, num_users)
                length_B = length_G.index_select(0, user_B)
                plain[f"{name}.lengths"] = length_B
                plain[f"{name}.values"] = value_V.index_select(0, repeated_entries(length_G, user_B, length_B))
            else:
                plain[name] = take(inputs, name, name in self._inputs.integers, num_users).index_select(0, user_B)
        return plain


def check_archive(path: Path) -> None:
    """Refuse a file of which torch would unpickle a part.

    Raises:
        DataError: it would, or the file is no program.
    """
    try:
        with ZipFile(path) as archive:
            parts = {info.filename.partition("/")[2]: info for info in archive.infolist()}
            sizes = [info.file_size for name, info in parts.items() if name.startswith(EMPTY_PARTS)]
            configs = [json.loads(archive.read(parts[name])) for name in CONFIGS]
    except (BadZipFile, KeyError, ValueError) as error:
        raise DataError(f"{path}: is damaged: it is no program of torch.export ({error!r})") from error
    pickled = [one for config in configs for one in config["config"].values() if one.get("use_pickle", True)]
    if any(sizes) or pickled:
        rule = "has parts that torch would unpickle, which run whatever code they name"
        raise DataError(f"{path}: {rule}; export the run again")
