"""ONNX Runtime's own file format (`.ort`), for its builds without a parser for ONNX: an ONNX file, optimized first."""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from edgekit.errors import ConversionError
from edgekit.model import Representation, SourceModel
from edgekit.plan import ConversionPlan, Format, Objection, Precision
from edgekit.protocols import Converted, Converter, LoadedSource, Progress, Requirement, Tensors


class SavedAsOrt:
    """A converter to format `ort` on top of one to ONNX."""

    format: Format = "ort"
    precisions: Sequence[Precision] = ("fp32", "dynamic-int8", "int8", "int4-weight")

    def __init__(self, to_onnx: Converter) -> None:
        self.name = f"ort-{to_onnx.name}"
        self.representation: Representation = to_onnx.representation
        self._to_onnx = to_onnx

    def requires(self, precision: Precision) -> Sequence[Requirement]:
        """What the way to ONNX needs."""
        return self._to_onnx.requires(precision)

    def objections(self, model: SourceModel, plan: ConversionPlan) -> Sequence[Objection]:
        """Those to ONNX."""
        return self._to_onnx.objections(model, plan)

    def convert(
        self,
        source: LoadedSource,
        plan: ConversionPlan,
        calibration: Callable[[], Iterable[Tensors]],
        out: Path,
        progress: Progress,
    ) -> Converted:
        """Convert to ONNX, optimize, save."""
        import onnx

        from edgekit_converters.formats.onnx_file import onnx_facts

        with tempfile.TemporaryDirectory() as folder:
            made = self._to_onnx.convert(source, plan, calibration, Path(folder), progress)
            optimized = Path(folder, "optimized.onnx")
            with progress.step(f"{plan.label}: optimize and save"):
                _save(made.model, optimized, optimize=True)
                _save(optimized, out / "model.ort", optimize=False)
            facts = onnx_facts(onnx.load(str(optimized)))
        if made.quantized is not None and not facts.share.weights:
            raise ConversionError(
                f"{plan.label} would change nothing: an .ort file is saved with its constants folded, and the weights "
                "of this model's operators would be float32 again.",
                hint="Use --precision int8, or --format onnx, which widens them when it is loaded.",
            )
        return msgspec.structs.replace(
            made,
            model=out / "model.ort",
            operators=facts.operators,
            quantized=None if made.quantized is None else facts.share,
            reproducible=False,  # ONNX Runtime writes tables of types in no order
            notes=(*made.notes, "Optimized for any CPU: without the blocked layout that ONNX Runtime gives x86's."),
        )


def _save(model: Path, out: Path, *, optimize: bool) -> None:
    """Let ONNX Runtime load a model and write what it made of it.

    As `onnxruntime.tools.convert_onnx_models_to_ort` does; in two steps, so that the operators can be looked at.
    """
    import onnxruntime

    options: Any = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL
    options.optimized_model_filepath = str(out)
    options.log_severity_level = 3
    if not optimize:
        options.add_session_config_entry("session.save_model_format", "ORT")
    try:
        # NchwcTransformer would block tensors as x86 CPUs want them, and only those.
        onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"], disabled_optimizers=["NchwcTransformer"]
        )
    except Exception as error:  # ONNX Runtime's exceptions have no common base but this
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConversionError(f"ONNX Runtime cannot save this model: {first[:300]}") from error
