"""A bundle over labelled images: a row for each, in their order, whatever becomes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.judged import Judged, judge, pool
from runtime.bundle_files import LoadedBundle
from runtime.decode import read_image
from runtime.host_chain import HostChain
from tests.bundle_factory import CLASSES, make_bundle
from tests.runtime.scans import write_pictures
from train.data.table import Sample, Table


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> LoadedBundle:
    return make_bundle(tmp_path_factory.mktemp("judged") / "bundle")


def table_of(folder: Path, count: int, prefix: str = "") -> Table:
    names = write_pictures(folder, count)
    samples = [
        Sample(prefix + name, "mine", folder / name, ("melanoma", "nevus")[i % 2], "", age=40.0 + i)
        for i, name in enumerate(names)
    ]
    return Table.of("mine", samples, ("nevus", "melanoma"))  # not the bundle's order


def test_rows_are_what_the_chain_says(bundle: LoadedBundle, tmp_path: Path) -> None:
    table, seen = table_of(tmp_path, 5), []
    judged = judge(bundle, table, "openvino", lambda: seen.append(1))
    assert len(seen) == 5
    with HostChain(bundle, "openvino") as chain:
        for row, (sample, judgement) in enumerate(zip(table, judged.judgements, strict=True)):
            alone = chain.analyse(read_image(sample.image).frame)
            np.testing.assert_allclose(
                judged.probabilities[row],
                [alone.result.probabilities[name] for name in CLASSES],
                atol=1e-6,
            )
            assert alone.lesion is not None
            np.testing.assert_array_equal(judgement.mask, alone.lesion.mask)
            assert judgement.result is not None
            assert judgement.result.metadata == {"age": 40.0 + row}
    assert judged.targets.tolist() == [0, 1, 0, 1, 0]
    assert judged.malignant.tolist() == [True, False, True, False, True]
    np.testing.assert_array_equal(judged.scores, judged.probabilities[:, 0])


def test_a_file_that_cannot_be_read_is_a_row_too(bundle: LoadedBundle, tmp_path: Path) -> None:
    table = table_of(tmp_path, 3)
    (tmp_path / "p001.png").write_bytes(b"torn")
    judged = judge(bundle, table, "openvino")
    assert judged.scored.tolist() == [True, False, True]
    assert judged.statuses[1] == "unreadable"
    assert judged.judgements[1].problem
    assert np.isnan(judged.scores[1])


def test_pooled_parts_keep_their_rows(bundle: LoadedBundle, tmp_path: Path) -> None:
    parts: list[Judged] = [
        judge(bundle, table_of(tmp_path / name, count, name), "openvino")
        for name, count in (("a", 2), ("b", 3))
    ]
    whole = pool(parts)
    assert whole.table.ids == parts[0].table.ids + parts[1].table.ids
    np.testing.assert_array_equal(whole.scores, np.concatenate([part.scores for part in parts]))
    assert whole.malignant.tolist() == [True, False, True, False, True]
