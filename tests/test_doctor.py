"""``nnlm doctor``: one line a thing, and an exit code that can be trusted."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import sys
from types import SimpleNamespace

import pytest

from autograder import doctor, frozen
from autograder.paths import Chapter


@pytest.fixture
def hidden(monkeypatch):
    """Make packages look as if they were not installed."""

    def hide(*names):
        find, version = importlib.util.find_spec, importlib.metadata.version

        def no_version(name):
            if name in names:
                raise importlib.metadata.PackageNotFoundError(name)
            return version(name)

        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *rest: None if name in names else find(name, *rest)
        )
        monkeypatch.setattr(importlib.metadata, "version", no_version)
        for name in names:
            monkeypatch.setitem(sys.modules, name, None)  # importing it raises ImportError

    return hide


def marks(look):
    return [line.mark for line in look()]


def test_this_environment_is_healthy():
    lines = doctor.examine()
    assert doctor.healthy(lines), [str(line) for line in lines if line.mark == doctor.BAD]
    assert [line.what for line in lines][:5] == ["Python", "packages", "PyTorch", "kernel", "chapters"]
    assert doctor.to_data(lines)["healthy"] is True


def test_a_missing_torch_costs_its_line_and_says_what_to_do(hidden):
    hidden("torch")
    (line,) = doctor.torch()
    assert str(line) == "✗ PyTorch: is not installed. Run `python3 start.py`; it installs what is missing."
    (line,) = doctor.packages()
    assert (line.mark, line.text) == (doctor.BAD, "torch is missing.")


def test_a_look_that_breaks_does_not_stop_the_others(monkeypatch):
    def broken():
        raise OSError("libcudart.so: cannot open shared object file")
        yield

    monkeypatch.setattr(doctor, "torch", broken)
    lines = doctor.examine()
    (line,) = [line for line in lines if line.what == "PyTorch"]
    assert "libcudart.so" in line.text
    assert not doctor.healthy(lines)
    assert "memory" in [line.what for line in lines]


def test_versions_are_held_to_the_ranges(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.26.4" if name == "numpy" else "0")
    assert "numpy is 1.26.4, the course needs <3,>=2.0." in [line.text for line in doctor.packages()]


def test_an_old_python_is_refused(monkeypatch):
    monkeypatch.setattr(doctor.platform, "python_version", lambda: "3.10.2")
    (line,) = doctor.python()
    assert (line.mark, "The course needs >=3.11" in line.advice) == (doctor.BAD, True)


@pytest.mark.parametrize(
    ("cuda", "driver", "mark", "says"),
    [
        (True, True, doctor.GOOD, "GPU Some GPU with 80 GB"),
        (False, True, doctor.ATTENTION, "does not see this computer's NVIDIA GPU"),
        (False, False, doctor.GOOD, "everything runs on the CPU"),
    ],
)
def test_gpus(monkeypatch, cuda, driver, mark, says):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Some GPU")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(total_memory=80e9))
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi" if driver else None)
    (line,) = doctor.torch()
    assert line.mark == mark
    assert says in line.text


@pytest.mark.parametrize(("free", "mark"), [(50e6, doctor.BAD), (1e9, doctor.ATTENTION), (9e9, doctor.GOOD)])
def test_disk(monkeypatch, free, mark):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert marks(doctor.disk) == [mark]


@pytest.mark.parametrize(("total", "mark"), [(2e9, doctor.ATTENTION), (8e9, doctor.GOOD)])
def test_memory(monkeypatch, total, mark):
    monkeypatch.setattr(doctor, "_memory_bytes", lambda: total)
    assert marks(doctor.memory) == [mark]


def test_notebooks_out_of_step_with_their_cases_are_found(monkeypatch, tmp_path):
    known = doctor.chapters()[0]
    monkeypatch.setattr(frozen, "thaw", lambda content: {})
    monkeypatch.setattr(doctor, "chapters", lambda: [known])
    (line,) = doctor.course()
    assert (line.mark, line.text.startswith(f"{known.name} checks ")) == (doctor.BAD, True)
    monkeypatch.setattr(doctor, "chapters", lambda: [Chapter("77_nowhere")])
    (line,) = doctor.course()
    assert (line.mark, "cannot be read" in line.text) == (doctor.BAD, True)


def test_another_projects_kernel_is_mentioned(monkeypatch):
    from jupyter_client.kernelspec import KernelSpecManager

    monkeypatch.setattr(
        KernelSpecManager, "get_kernel_spec", lambda self, name: SimpleNamespace(argv=["/opt/other/python"])
    )
    (line,) = doctor.kernel()
    assert (line.mark, "/opt/other/python" in line.text) == (doctor.ATTENTION, True)


def test_a_sandbox_that_does_not_start_is_said(monkeypatch):
    from autograder.sandbox import session

    def broken(*_):
        raise session.SandboxError("The grading sandbox did not start.")

    monkeypatch.setattr(session, "Server", broken)
    assert [str(line) for line in doctor.sandbox()] == ["✗ sandbox: The grading sandbox did not start."]
