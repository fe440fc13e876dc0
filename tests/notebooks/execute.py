"""`python -m tests.notebooks.execute [NAME ...]`: run notebooks and keep what they show, pictures with 256 colours."""

import base64
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from PIL import Image

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


class ThisInterpreter(KernelSpecManager):
    """Runs every kernel on the interpreter that asks for it, whatever is installed under the kernel's name."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name=kernel_name, language="python")


def execute(notebook: Any, folder: Path) -> Any:
    """Run all cells in `folder`, which also takes the kernel's own files, and return the notebook with outputs."""
    own = {name: str(folder / name) for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR")}
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=ThisInterpreter())
    client = NotebookClient(notebook, km=manager, timeout=600, resources={"metadata": {"path": str(folder)}})
    client.owns_km = True  # so that it ends the kernel and closes its sockets
    return client.execute(env={**os.environ, **own, "MPLBACKEND": ""})


def with_parameters(notebook: Any, line: str) -> Any:
    """Let a line follow the cell that is tagged as parameters, and drop what the notebook shows."""
    place = next(i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(line))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def execute_short(path: Path, folder: Path) -> Any:
    """Run a notebook on fewer rows than it asks for, and return it with outputs."""
    notebook = nbformat.read(path, as_version=4)
    return execute(with_parameters(notebook, f"FOLDER, ROWS, EPOCHS = Path({str(folder)!r}), 12_000, 2"), folder)


def outputs(notebook: Any) -> list[Any]:
    """Return all that the cells of a notebook show."""
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def is_picture(output: Any) -> bool:
    """Return whether a cell shows a picture."""
    return "image/png" in output.get("data", {})


def pictures(notebook: Any) -> list[Any]:
    """Return all pictures that a notebook shows."""
    return [output for output in outputs(notebook) if is_picture(output)]


def tidy(notebook: Any) -> None:
    """Join the pieces of what a cell prints, drop times, and make pictures small."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        kept: list[Any] = []
        for output in cell.get("outputs", []):
            if kept and output.get("name", "") == kept[-1].get("name") == "stdout":
                kept[-1].text += output.text
                continue
            if is_picture(output):
                output.data["image/png"] = small(output.data["image/png"])
            kept.append(output)
        if "outputs" in cell:
            cell.outputs = kept


def small(png: str) -> str:
    """Return a picture (base64) with 256 colours: a third of the bytes, and no difference to be seen in plots."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    picture = picture.quantize(
        256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    )  # spares colours that are rare
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def main() -> None:
    """Refresh the notebooks that are named, or all, in place."""
    names = sys.argv[1:] or ["*"]
    for path in sorted(path for name in names for path in NOTEBOOKS.glob(f"{name}.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        with tempfile.TemporaryDirectory() as folder:
            execute(notebook, Path(folder))
        tidy(notebook)
        nbformat.write(notebook, path)
        print(f"{path}: {path.stat().st_size / 1000:,.0f} kB")


if __name__ == "__main__":
    main()
