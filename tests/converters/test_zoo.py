"""The zoo: its models are what they claim, and its bench measures and judges them."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from alternating import Check
from zoo_cells import EQUAL_DB, Cell, bar_db, recall, remember, worst_db
from zoo_direct import source_of
from zoo_edgekit import convert_cells
from zoo_matrix import Row, checks, tables, totals

from edgekit.plan import FORMATS, PRECISIONS
from zoo.catalog import UNEVEN, ZOO, Animal
from zoo.files import WRITERS
from zoo.outside import OUTSIDE, cause_outside

FROM_CODE = [animal for animal in ZOO if animal.source[0].startswith("{nets}")]


def made(sqnr_db: float | None, drop_points: float | None = None) -> Cell:
    """A cell with a file."""
    return Cell(made=True, sqnr_db=sqnr_db, drop_points=drop_points, size=1000, seconds=1.0)


def row(**cells: Cell) -> Row:
    """A row of TFLite cells, by precision."""
    found = {f"tflite {precision.replace('_', '-')}": cell for precision, cell in cells.items()}
    pairs = [("tflite", label.split()[1]) for label in found]
    return Row(model=ZOO[0], folder=Path(), planned=pairs, edgekit=found, outside={})


class TestCatalog:
    def test_what_the_zoo_must_hold(self) -> None:
        """At least 14 models of every kind of source, each with a name of its own, some trained by others."""
        assert len({animal.name for animal in ZOO}) == len(ZOO) >= 14
        assert sum(animal.fetched for animal in ZOO) >= 3
        assert sum(animal.labels for animal in ZOO) >= 2

    @pytest.mark.parametrize("animal", [*ZOO, UNEVEN], ids=lambda animal: animal.name)
    def test_every_model_can_be_written(self, animal: Animal) -> None:
        """There is a writer of its files."""
        assert animal.writer in WRITERS

    @pytest.mark.parametrize("animal", FROM_CODE, ids=lambda animal: animal.name)
    def test_factories_are_found(self, animal: Animal, tmp_path: Path) -> None:
        """The words of a model from code name a factory, and shapes that read as such."""
        source = source_of(animal, tmp_path)
        functions = {
            item.name for item in ast.parse(Path(source.path).read_text("utf-8")).body if hasattr(item, "name")
        }
        assert source.kind == "pytorch"
        assert source.factory in functions
        assert source.inputs

    def test_causes_name_models_and_cells_that_there_are(self) -> None:
        """A cause that nothing can match would hide that it is no longer one."""
        cells = [f"{format_} {precision}" for format_ in FORMATS for precision in PRECISIONS]
        names = [animal.name for animal in ZOO]
        for known in OUTSIDE:
            models = [name for name in names if re.fullmatch(known.models, name)]
            assert any(re.fullmatch(known.cells, cell) for cell in cells), known
            assert models, known
            assert cause_outside(models[0], "onnx fp32", "no kernel") == ""


class TestJudged:
    def test_bars(self) -> None:
        """80 dB for fp32, 20 for eight bits; labels may excuse eight bits and never fp32."""
        assert (bar_db("fp32"), bar_db("int8")) == (80, 20)
        assert made(80.1).good("fp32")
        assert not made(79.0, drop_points=0.0).good("fp32")
        assert made(12.0, drop_points=1.0).good("int8")
        assert not made(12.0, drop_points=1.1).good("int8")
        assert not made(None, drop_points=None).good("int8")
        assert not Cell(made=False, reason="no").good("int8")

    def test_the_worst_output_counts(self) -> None:
        """Equal ones are better than any; one that is not a number spoils all."""
        equal, near, lost = ({"relative_rms": 0.0, "sqnr_db": None}, {"relative_rms": 0.1, "sqnr_db": 20.0},
                             {"relative_rms": None, "sqnr_db": None})  # fmt: skip
        assert worst_db([equal]) == EQUAL_DB
        assert worst_db([equal, near]) == 20.0
        assert worst_db([near, lost]) is None

    def test_red_cells_need_a_cause(self) -> None:
        """One that is explained does not fail the bench, one that is not does."""
        red = row(fp32=made(130), int8=Cell(made=False, reason="no kernel"))
        assert red.unexplained() == ["tflite int8"]
        red.outside = {"tflite int8": "an issue of theirs"}
        assert red.unexplained() == []
        assert "no kernel (an issue of theirs)" in "\n".join(tables([red]))

    def test_what_only_the_library_covers_fails(self) -> None:
        """However many cells have parity."""
        one = row(fp32=made(70))
        one.direct = {"tflite fp32": made(130)}
        _, facts = totals([one])
        judged: dict[str, Check] = {check.what: check for check in checks([one], facts)}
        assert not judged["cells that only the library's own call fills"].passed
        assert not judged["fp32 cells with parity"].passed

    def test_a_run_goes_on(self, tmp_path: Path) -> None:
        """With the cells of a run of the same code, and no others."""
        cells = {"tflite fp32": made(130.5)}
        remember(tmp_path / "a.json", "stamp", cells)
        assert recall(tmp_path / "a.json", "stamp") == cells == recall(tmp_path / "a.json", "")
        assert recall(tmp_path / "a.json", "another") == recall(tmp_path / "none.json", "stamp") == {}


@pytest.mark.slow
class TestMeasured:
    def test_a_model_by_the_command(self, tmp_path: Path) -> None:
        """Every cell of a row, by one command."""
        animal = next(item for item in ZOO if item.name == "two")
        animal.write(tmp_path)
        wanted = [(format_, precision) for format_ in ("torchscript", "onnx") for precision in ("fp32", "int8")]
        cells = convert_cells(animal, tmp_path, wanted, 120)
        assert list(cells) == ["torchscript fp32", "torchscript int8", "onnx fp32", "onnx int8"]
        assert all(cell.good(label.split()[1]) for label, cell in cells.items()), cells

    def test_a_cell_that_is_refused(self, tmp_path: Path) -> None:
        """Does not keep the others of the row from being made; its reason is told."""
        animal = next(item for item in ZOO if item.name == "branches")
        animal.write(tmp_path)
        np.savez(tmp_path / "samples.npz", x=np.load(tmp_path / "samples.npz")["x"][:4])
        cells = convert_cells(animal, tmp_path, [("torchscript", "fp32"), ("onnx", "fp32"), ("no", "fp32")], 120)
        assert cells["torchscript fp32"].good("fp32")
        assert cells["onnx fp32"].good("fp32")
        assert "no format 'no'" in cells["no fp32"].reason
