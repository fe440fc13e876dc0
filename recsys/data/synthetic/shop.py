"""Synthetic click log of a shop, with planted effects that only some models can find.

A row is an item shown to a user. The click probability is the logistic of a sum of

    interest      how many of the user's latest clicks share the item's category: needs target attention (DIN)
    taste         segment x category, and habit: device x hour: need interactions of two fields
    plain         category, tags, price, position: a linear model finds these
    noise         a little of each user and of each item: needs their ids

and nothing that is not in the columns, so the best possible AUC is known. Item popularity drifts, and new items appear
every day. Time runs with the row number.

With a planted slice there is a column more, `app`, which the configuration does not read. One of its values has far
more clicks, so that whatever is trained is miscalibrated in these rows, and hardly elsewhere.

Dimension key: R rows of a chunk, V history entries of all R rows, I items, D days.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recsys.data.synthetic.log import Floats, SyntheticLog, write_log
from recsys.errors import DataError
from recsys.progress import OnProgress, no_progress

__all__ = ["Settings", "Shop", "generate", "interest_effect", "zipf"]

Ints = npt.NDArray[np.integer[Any]]

START = 1_700_006_400  # 2023-11-15 00:00 UTC
DAYS = 60
DAY_SECONDS = 86_400
MAX_HISTORY = 50
NUM_POSITIONS = 10
NUM_TAGS = 12
SEGMENTS = ("student", "family", "senior", "office", "collector", "guest")
DEVICES = ("phone", "desktop", "tablet")
INTERESTS_OF_USER, INTERESTS_OF_ROW = 8, 3

CONFIG = """\
# A synthetic click log; see README.md for what was planted in it.
label: clicked
group: user_id
features:
  user_id: {type: id}
  segment: {type: id}
  device: {type: id}
  ts: {type: datetime, parts: [hour, weekday]}
  position: {type: id}
  item_id: {type: id}
  category: {type: id}
  price: {type: number, transform: log1p, normalize: standard}
  tags: {type: ids, max_len: 8}
  clicked_items: {type: sequence, of: item_id, behaviour: clicks, max_len: 50}
  clicked_categories: {type: sequence, of: category, behaviour: clicks, max_len: 50}
data: {train: train/*.parquet, valid: valid.parquet, test: test.parquet}
model: {tower: din, dim: 16, attention: [80, 40], mlp: [200, 80], activation: dice}
train:
  epochs: 4
  batch_size: 1024
  seed: 1
  sparse_optimizer: {name: rowwise_adagrad, lr: 0.05}
  dense_optimizer: {name: adam, lr: 1.0e-3}
  regularization: {rows: 1.0}
  lr_schedule: constant
"""

ABOUT = """\
# A synthetic click log of a shop

An item shown to a user in each row, in order of time. `clicked` is 1 with a probability that follows from the other
columns alone:

| effect | who finds it |
|---|---|
| earlier clicks in the item's category (`clicked_categories`) | attention to the history (DIN) |
| `segment` x `category`, `device` x hour of `ts` | models with interactions |
| `category`, `tags`, `price`, `position` | any model |
| a little of each `user_id` and `item_id` | models with ids |

The popularity of items drifts, and new items appear every day. A missing price says nothing.

    recsys train config.yaml --data-dir .
"""

ABOUT_PLANTED = """
## The planted slice

No feature reads the column `app`, the version of the shop's app. Version 2.4 counts taps that were none: its rows have
many more clicks than the other columns tell, so that any model promises too few there.

    recsys evaluate runs/NAME --by app
"""
APP_VERSIONS = {"2.1": 0.15, "2.2": 0.35, "2.3": 0.42, "2.4": 0.08}
"""Share of the rows of each version."""
PLANTED_APP, PLANTED_LOGIT = "2.4", 0.9
"""Value of `app` in the planted slice, and what is added to the logit of its rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Sizes of the shop."""

    num_users: int = 5_000
    num_items: int = 2_000
    num_categories: int = 40
    mean_history: float = 14.0
    """Entries a row, before the cut at 50."""
    planted_slice: bool = False
    """Whether there is a column `app`, of which one value has more clicks than any feature tells."""


class Shop:
    """The recipe: everything about users and items, drawn from the seed."""

    def __init__(self, *, rows: int, seed: int, settings: Settings) -> None:
        self.rows = rows
        self.seed = seed
        self.settings = settings
        random = np.random.default_rng([seed, 0])
        self._draw_items(random)
        self._draw_users(random)
        self._draw_effects(random)

    def _draw_items(self, random: np.random.Generator) -> None:
        num_items, num_categories = self.settings.num_items, self.settings.num_categories
        # Items lie sorted by category, each of which has at least one.
        extra = random.choice(num_categories, num_items - num_categories, p=zipf(num_categories, 0.5))
        self.category_of = np.sort(np.concatenate([np.arange(num_categories), extra]))
        self.first_item = np.searchsorted(self.category_of, np.arange(num_categories + 1))
        self.item_name = pa.array([f"i{code:05}" for code in random.permutation(num_items)])
        popularity = zipf(num_items, 0.8)[random.permutation(num_items)]
        self.launch_day = np.where(random.random(num_items) < 0.6, -1, random.integers(0, DAYS, num_items))
        self.launch_day[self.first_item[:-1]] = -1
        day = np.arange(DAYS)[:, None]
        waves = np.exp(np.sin(2 * np.pi * (day / DAYS + random.random(num_items))))
        weight_DI = popularity * waves * (self.launch_day <= day)
        # One ascending array for all days: the items of day d lie in [d, d + 1).
        total = np.concatenate([np.zeros((DAYS, 1)), weight_DI.cumsum(axis=1)], axis=1)
        self.cumulative = total / total[:, -1:] + day
        self.price = np.exp(random.normal(3, 0.6, num_categories)[self.category_of] + random.normal(0, 0.5, num_items))
        lists = [np.sort(random.choice(NUM_TAGS, n, replace=False)) for n in random.integers(0, 5, num_items)]
        self.tags = pa.array([[f"t{tag}" for tag in tags] for tags in lists], pa.list_(pa.string()))
        weights = random.normal(0, 0.3, NUM_TAGS)
        self.tag_effect = np.array([weights[tags].sum() for tags in lists])

    def _draw_users(self, random: np.random.Generator) -> None:
        num_users, num_categories = self.settings.num_users, self.settings.num_categories
        self.user_id = random.permutation(10 * num_users)[:num_users]
        self.user_cumulative = zipf(num_users, 0.7).cumsum()
        self.segment_of = random.choice(len(SEGMENTS), num_users, p=zipf(len(SEGMENTS), 0.6))
        self.device_of = random.choice(len(DEVICES), num_users, p=(0.5, 0.35, 0.15))
        self.interests = random.integers(0, num_categories, (num_users, INTERESTS_OF_USER))

    def _draw_effects(self, random: np.random.Generator) -> None:
        settings = self.settings
        self.category_effect = random.normal(0, 0.3, settings.num_categories)
        # Of rank 2: what a segment and a category have in common.
        self.taste = 0.5 * random.normal(0, 1, (len(SEGMENTS), 2)) @ random.normal(0, 1, (2, settings.num_categories))
        self.user_effect = random.normal(0, 0.1, settings.num_users)
        self.item_effect = random.normal(0, 0.1, settings.num_items)
        # Each device has its own best hour, so that neither device nor hour says much alone.
        peaks = np.array([21.0, 13.0, 7.0])[:, None]
        self.habit = 0.9 * np.cos(2 * np.pi * (np.arange(24) - peaks) / 24)

    def columns(self, first_row: int, num_rows: int, random: np.random.Generator) -> tuple[dict[str, pa.Array], Floats]:
        """Return the columns of some rows, and the probability of a click in each of them."""
        settings = self.settings
        ts = self._times(first_row, num_rows)
        day, hour = (ts - START) // DAY_SECONDS, ts // 3600 % 24
        user = np.searchsorted(self.user_cumulative, random.random(num_rows) * self.user_cumulative[-1])
        interests = self.interests[user[:, None], random.integers(0, INTERESTS_OF_USER, (num_rows, INTERESTS_OF_ROW))]
        lengths = np.minimum(random.exponential(settings.mean_history, num_rows), MAX_HISTORY).astype(np.int64)
        row = np.arange(num_rows).repeat(lengths)
        clicked = self._items(self._categories(interests, row, 0.85, random), day[row], random)
        item = self._items(self._categories(interests, np.arange(num_rows), 0.5, random), day, random)
        category = self.category_of[item]
        matches = np.bincount(row[self.category_of[clicked] == category[row]], minlength=num_rows)
        random_device = random.integers(0, len(DEVICES), num_rows)
        device = np.where(random.random(num_rows) < 0.7, self.device_of[user], random_device)
        position = random.integers(1, NUM_POSITIONS + 1, num_rows)
        price = np.where(random.random(num_rows) < 0.08, np.nan, self.price[item] * random.uniform(0.7, 1.1, num_rows))
        segment = self.segment_of[user]
        logit = -2.0 + self.category_effect[category] + self.tag_effect[item] - 0.12 * (position - 5.5)
        logit += self.taste[segment, category] + self.habit[device, hour]
        logit += self.user_effect[user] + self.item_effect[item] + _price_effect(price) + interest_effect(matches)
        offsets = pa.array(np.concatenate([[0], lengths.cumsum()]).astype(np.int32))
        columns: dict[str, pa.Array] = {
            "user_id": pa.array(self.user_id[user]),
            "segment": pa.array(SEGMENTS).take(pa.array(segment)),
            "device": pa.array(DEVICES).take(pa.array(device)),
            "ts": pa.array(ts),
            "position": pa.array(position.astype(np.int8)),
            "item_id": self.item_name.take(pa.array(item)),
            "category": pa.array(category.astype(np.int16)),
            "price": pa.array(np.round(price, 2), from_pandas=True),
            "tags": self.tags.take(pa.array(item)),
            "clicked_items": pa.ListArray.from_arrays(offsets, self.item_name.take(pa.array(clicked))),
            "clicked_categories": pa.ListArray.from_arrays(
                offsets, pa.array(self.category_of[clicked].astype(np.int16))
            ),
        }
        if settings.planted_slice:
            columns["app"], effect = self._app(first_row, num_rows)
            logit += effect
        return columns, 1 / (1 + np.exp(-logit))

    def _app(self, first_row: int, num_rows: int) -> tuple[pa.Array, Floats]:
        """Return the app of each row and its effect, drawn apart: all other columns are as without them."""
        random = np.random.default_rng([self.seed, 0, first_row])
        drawn = random.choice(len(APP_VERSIONS), num_rows, p=list(APP_VERSIONS.values()))
        names = pa.array(list(APP_VERSIONS)).take(pa.array(drawn))
        return names, np.where(drawn == list(APP_VERSIONS).index(PLANTED_APP), PLANTED_LOGIT, 0.0)

    def _times(self, first_row: int, num_rows: int) -> Ints:
        """Return ascending Unix seconds; evenings are busier than nights."""
        days = (first_row + np.arange(num_rows)) * (DAYS / self.rows)
        hours = np.arange(25)
        busy = np.concatenate([[0], (1.2 - np.cos(2 * np.pi * (hours[:-1] - 3) / 24)).cumsum()])
        hour = np.interp(days % 1, busy / busy[-1], hours)
        ts: Ints = START + days.astype(np.int64) * DAY_SECONDS + (hour * 3600).astype(np.int64)
        return ts

    def _categories(self, interests: Ints, row: Ints, share: float, random: np.random.Generator) -> Ints:
        """Return for each entry of `row` one of that row's interests, or (1 - share of them) any category."""
        own = interests[row, random.integers(0, INTERESTS_OF_ROW, len(row))]
        other = random.integers(0, self.settings.num_categories, len(row))
        return np.where(random.random(len(row)) < share, own, other)

    def _items(self, category: Ints, day: Ints, random: np.random.Generator) -> Ints:
        """Draw an item of each category by the popularity of the day."""
        low = self.cumulative[day, self.first_item[category]]
        high = self.cumulative[day, self.first_item[category + 1]]
        drawn = low + random.random(len(category)) * (high - low)
        width = self.settings.num_items + 1
        item: Ints = np.searchsorted(self.cumulative.ravel(), drawn, side="right") - 1 - day * width
        return item


def generate(
    folder: Path,
    *,
    rows: int,
    seed: int = 1,
    num_users: int = 5_000,
    num_items: int = 2_000,
    num_categories: int = 40,
    mean_history: float = 14.0,
    planted_slice: bool = False,
    on_progress: OnProgress = no_progress,
) -> SyntheticLog:
    """Write the click log of a shop, with a config.yaml to train DIN on it.

    Args:
        folder: new or empty.
        rows: number of rows in all; the latest tenth is the test split, the tenth before it the validation split.
        seed: seed of all random numbers; the same arguments give the same rows.
        num_users: size of the vocabulary of users.
        num_items: size of the vocabulary of items, at least as large as `num_categories`.
        num_categories: size of the vocabulary of categories.
        mean_history: earlier clicks in a row, before the cut at 50.
        planted_slice: add a column `app` that no feature reads, and in whose rows with "2.4" there are more clicks.
        on_progress: called after each chunk of rows.

    Raises:
        DataError: `folder` holds something, or a size is too small.
    """
    if min(num_users, num_categories) < 1 or num_items < num_categories:
        sizes = f"{num_users=}, {num_items=}, {num_categories=}"
        raise DataError(f"sizes of the shop: must be at least 1, and no more categories than items, got {sizes}")
    settings = Settings(
        num_users=num_users,
        num_items=num_items,
        num_categories=num_categories,
        mean_history=mean_history,
        planted_slice=planted_slice,
    )
    facts: dict[str, Any] = {"shape": "shop", "rows": rows, "seed": seed, **asdict(settings)}
    facts.pop("planted_slice")
    if planted_slice:
        facts["planted_slice"] = {"column": "app", "value": PLANTED_APP, "logit": PLANTED_LOGIT}
    shop = Shop(rows=rows, seed=seed, settings=settings)
    about = ABOUT + ABOUT_PLANTED * planted_slice
    return write_log(shop, folder, config=CONFIG, about=about, facts=facts, on_progress=on_progress)


def interest_effect(matches: Ints) -> Floats:
    """Return the logit for a number of earlier clicks in the item's category: rising, with less and less effect."""
    effect: Floats = 3.0 * (1 - 0.6**matches) - 0.8
    return effect


def _price_effect(price: Floats) -> Floats:
    """Cheap is good; a missing price is like a middling one."""
    return np.nan_to_num(-0.4 * np.clip((np.log1p(price) - 3) / 0.7, -2.5, 2.5))


def zipf(size: int, exponent: float) -> Floats:
    """Return the shares of values whose frequency falls with their rank."""
    weights = np.arange(1, size + 1) ** -exponent
    shares: Floats = weights / weights.sum()
    return shares
