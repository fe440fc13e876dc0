from recsys.cli.dense_flops import tower_with_flops
from recsys.config import Config, resolve
from recsys.embeddings import FeatureVocabulary, Layout


def test_the_products_of_interacting_layers_are_counted_with_kernels_and_without() -> None:
    model = {"tower": "autoint", "layers": 1, "heads": 2, "attention_dim": 6, "dim": 4}
    content = {"label": "y", "features": {name: {"type": "id"} for name in "abc"}, "model": model}
    resolved = resolve(Config.model_validate(content, strict=False), [])
    vocabularies = {name: FeatureVocabulary(name, 10) for name in "abc"}
    _, flops = tower_with_flops(resolved, Layout(resolved, vocabularies, jagged=False, regularized=False), {})
    projections, scores_and_mix, output = 3 * 4 * 4 * 6, 2 * 3 * 3 * 6, 3 * 6
    assert flops == 2 * (projections + scores_and_mix + output)
