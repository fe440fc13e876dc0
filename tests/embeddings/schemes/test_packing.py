import torch

from recsys.config.limits import rows_together
from recsys.config.schemes.full import FullTable
from recsys.embeddings import FeatureVocabulary, Full
from recsys.embeddings.schemes.packing import packed_tables, unpack

SCHEME = Full("t", [FeatureVocabulary("item", 10)], 4, FullTable(features=("item",)))


def test_narrow_rows_lie_side_by_side_and_are_read_from_their_place() -> None:
    logical = torch.arange(30.0).view(10, 3)
    (table,) = packed_tables(SCHEME, "", 10, 3)
    assert (table.rows, table.dim) == (3, 12)
    physical = torch.zeros(12, 3)
    physical[:10] = logical
    ids = torch.tensor([9, 0, 5])
    rows = physical.view(3, 12)[ids // 4]
    torch.testing.assert_close(unpack([rows], ids, rows_together(3)), logical[ids])


def test_wide_rows_are_cut_into_tables_that_the_kernel_reads_rightly() -> None:
    tables = packed_tables(SCHEME, "_core", 7, 2 * 33 * 33)
    assert [(table.name, table.rows, table.dim) for table in tables] == [
        ("t_table_core_0", 4, 1024),
        ("t_table_core_1024", 4, 1024),
        ("t_table_core_2048", 4, 1024),
        ("t_table_core_3072", 4, 1024),
        ("t_table_core_4096", 4, 260),
    ]
    wide = torch.randn(4, 4356)
    ids = torch.tensor([6, 1])
    pieces = [piece[ids // 2] for piece in wide.split(1024, dim=1)]
    torch.testing.assert_close(unpack(pieces, ids, 2), wide.view(8, 2178)[ids])


def test_no_ids_give_no_rows() -> None:
    assert unpack([torch.zeros(0, 4)], torch.zeros(0, dtype=torch.int64), 2).shape == (0, 2)
