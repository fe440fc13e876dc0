"""What a history tells of a rating, with and without its ratings: `python pipelines/movielens1m_din/similarity.py DIR`.

Logistic regressions on a few columns, fitted on the validation rows. `DIR` needs `rating` and `hist_rating`, too.
Dimension key: U users, M movies, B rows, V entries of all histories.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score


class Similarity:
    """Means and similarities of movies, from the training rows."""

    def __init__(self, rows: pl.DataFrame) -> None:
        user_B, movie_B, rating_B = (rows[name].to_numpy().astype(int) for name in ("user_id", "movie_id", "rating"))
        self.mean = float(rating_B.mean())
        self.user_U, self.movie_M = self._means(user_B, rating_B), self._means(movie_B, rating_B)
        shape = len(self.user_U), len(self.movie_M)
        rated_UM, residual_UM = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        rated_UM[user_B, movie_B] = 1
        residual_UM[user_B, movie_B] = rating_B - self.movie_M[movie_B] - (self.user_U[user_B] - self.mean)
        self.by_raters_MM = self._cosines(rated_UM)
        self.by_ratings_MM = self._cosines(residual_UM).clip(min=0)

    def _means(self, id_B: np.ndarray, rating_B: np.ndarray) -> np.ndarray:
        count, size = np.bincount(id_B, minlength=2**13), 2**13
        return np.where(count > 0, np.bincount(id_B, rating_B, size) / count.clip(min=1), self.mean)

    @staticmethod
    def _cosines(values_UM: np.ndarray) -> np.ndarray:
        products_MM = values_UM.T @ values_UM
        norm_M = np.sqrt(np.diag(products_MM)) + 3  # movies with few ratings are like none
        return products_MM / np.outer(norm_M, norm_M)

    def columns(self, rows: pl.DataFrame) -> dict[str, np.ndarray]:
        """Return the columns by name, (B,) each."""
        user_B, movie_B = (rows[name].to_numpy().astype(int) for name in ("user_id", "movie_id"))
        length_B = rows["hist_movie_id"].list.len().to_numpy()
        row_V = np.repeat(np.arange(rows.height), length_B)
        entry_V, rating_V = (rows[name].explode().to_numpy().astype(int) for name in ("hist_movie_id", "hist_rating"))
        raters_V = self.by_raters_MM[movie_B[row_V], entry_V]
        ratings_V = self.by_ratings_MM[movie_B[row_V], entry_V]
        residual_V = rating_V - self.movie_M[entry_V] - (self.user_U[user_B[row_V]] - self.mean)

        def total(values_V: np.ndarray) -> np.ndarray:
            return np.bincount(row_V, values_V, rows.height)

        return {
            "movie": self.movie_M[movie_B],
            "user": self.user_U[user_B],
            "movies of history": total(self.movie_M[entry_V]) / length_B,
            "similarity by raters": total(raters_V) / length_B,
            "similarity by ratings": total(ratings_V) / length_B,
            "rating of history": total(rating_V) / length_B,
            "rating by raters": total(raters_V * residual_V) / (total(raters_V) + 0.3),
            "rating by ratings": total(ratings_V * residual_V) / (total(ratings_V) + 0.3),
        }


def main(folder: Path) -> None:
    """Print the test AUC of each set of columns."""
    train, valid, test = (pl.read_parquet(folder / f"{split}.parquet") for split in ("train", "valid", "test"))
    similarity = Similarity(train)
    of_valid, of_test = similarity.columns(valid), similarity.columns(test)
    means, alike = ["movie", "user", "movies of history"], ["similarity by raters", "similarity by ratings"]
    rated = ["rating of history"]
    weighted = ["rating by raters", "rating by ratings"]
    for names in (means, means + alike, means + rated, means + rated + alike + weighted):
        fitted_on, scored = (np.stack([columns[name] for name in names], axis=1) for columns in (of_valid, of_test))
        mean, spread = fitted_on.mean(axis=0), fitted_on.std(axis=0)
        model = LogisticRegression(C=10).fit((fitted_on - mean) / spread, valid["label"])
        auc = roc_auc_score(test["label"], model.decision_function((scored - mean) / spread))
        print(f"{auc:.4f}  {', '.join(names)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
