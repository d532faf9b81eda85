"""A user's own files stay out: whatever their names, no command, child, worker or deployment imports or runs them.

The four packages have names that a project of one's own has too, and Python looks into the working directory, and
into PYTHONPATH, before it looks where packages are installed. Nothing is imported here but what Python has loaded.
"""

# pathlib would import a dozen modules more.
# ruff: noqa: PTH113, PTH118, PTH120
import os
import sys

PACKAGES = ("flows", "model", "pipeline", "data_catalog")
WORKING_DIRECTORY = "LONGDANCE_WORKING_DIRECTORY"


def isolate() -> None:
    """Keep foreign modules out of this process and, by its environment, out of every Python that it starts.

    Workers, multiprocessing's own processes, accelerate, torchrun, pip and Prefect's server all inherit it.
    """
    os.environ["PYTHONSAFEPATH"] = "1"  # as `python -P`: neither `-m` nor `-c` puts the working directory on the path
    _forget({entry for entry in _python_path() if _shadows(entry)})


def forget_working_directory() -> None:
    """For a command: `python -m flows.cli`, or an empty entry in PYTHONPATH, has put it on the path before us."""
    _forget({""})


def enter_working_directory() -> None:
    """Go where a deployment was made, if this is one: its relative folders are meant from there.

    Only now, with longdance at hand: Prefect puts the directory in which it starts a flow, and any that a pull step
    names, in front of Python's path.

    Raises:
        LongdanceError: this machine has no such directory.
    """
    folder = os.environ.get(WORKING_DIRECTORY)
    if not folder:
        return
    try:
        os.chdir(folder)
    except OSError as error:
        from data_catalog.base.errors import LongdanceError

        raise LongdanceError(
            f"The deployment's working directory {folder!r} cannot be entered ({error.strerror}): "
            "make the deployments in a folder that its workers have, too."
        ) from error


def _python_path() -> list[str]:
    value = os.environ.get("PYTHONPATH")
    return value.split(os.pathsep) if value else []


def _shadows(folder: str) -> bool:
    """Whether modules in a folder have the names of these packages."""
    files = (file for name in PACKAGES for file in (f"{name}.py", f"{name}/__init__.py"))
    return any(os.path.isfile(os.path.join(folder, file)) for file in files)


def _forget(folders: set[str]) -> None:
    """Take folders, but for the one that longdance lies in, off Python's path, here and for children."""
    foreign = {_place(folder) for folder in folders} - {_place(os.path.dirname(os.path.dirname(__file__)))}
    sys.path[:] = [entry for entry in sys.path if _place(entry) not in foreign]
    if kept := _python_path():
        os.environ["PYTHONPATH"] = os.pathsep.join(entry for entry in kept if _place(entry) not in foreign)


def _place(entry: str) -> str:
    """An entry of the path, without links; an empty one is the working directory."""
    try:
        return os.path.realpath(entry)
    except OSError:  # the working directory is gone
        return entry
