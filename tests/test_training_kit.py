"""The training loop that later chapters share: its files, its progress line, resuming to the bit, and stopping."""

from __future__ import annotations

import io
import math
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from course.kit import training
from course.kit.training import CheckpointError, History, Progress, TorchLearner, fit, load, save, seeded
from solutions.optimisers import Adam, EarlyStopping, minibatches

X = np.random.default_rng(0).normal(size=(45, 3))
Y = X @ np.array([1.0, -2.0, 0.5]) + 0.1 * np.random.default_rng(1).normal(size=45)


class Line:
    """A NumPy learner: least squares with noise that it draws itself, as dropout would."""

    def __init__(self) -> None:
        self.w, self.rng = np.zeros(3), np.random.default_rng(7)
        self.optimiser = Adam([self.w], lr=0.05)
        self.steps = 0

    def step(self, batch: Any) -> float:
        x, y = batch
        error = (x + 0.1 * self.rng.normal(size=x.shape)) @ self.w - y
        self.optimiser.step([2 * x.T @ error / len(x)])
        self.steps += 1
        return float(np.mean(error**2))

    def state_dict(self) -> dict[str, Any]:
        return {"w": self.w, "optimiser": self.optimiser.state_dict(), "rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: Any) -> None:
        self.w[:] = state["w"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.rng.bit_generator.state = state["rng"]

    def loss(self) -> float:
        return float(np.mean((X @ self.w - Y) ** 2))


def data(epoch: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(minibatches(X, Y, 10, seeded(3, epoch)))


def torch_learner() -> TorchLearner:
    torch.manual_seed(5)
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 8), torch.nn.Dropout(0.3), torch.nn.Tanh(), torch.nn.Linear(8, 1)
    ).double()
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 40)

    def loss(model: Any, batch: Any) -> Any:
        x, y = (torch.from_numpy(part) for part in batch)
        return torch.mean((model(x)[:, 0] - y) ** 2)

    return TorchLearner(model, optimiser, loss, clip=1.0, scheduler=scheduler)


class Pulled(Exception):
    """The plug is pulled: nothing is caught, nothing is saved."""


def pulled_after(learner: Any, steps: int, error: type[BaseException]) -> Any:
    original, done = learner.step, 0

    def step(batch: Any) -> float:
        nonlocal done
        if done == steps:
            raise error
        done += 1
        return original(batch)

    learner.step = step
    return learner


def bits(learner: Any) -> bytes:
    path = Path(os.environ["PYTEST_TMP"], "bits")
    save(path, learner.state_dict())
    with zipfile.ZipFile(path) as packed:
        return b"".join(packed.read(name) for name in sorted(packed.namelist()))


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_TMP", str(tmp_path))


# ---- resuming ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("make", [Line, torch_learner], ids=["numpy", "torch"])
@pytest.mark.parametrize(("steps", "every"), [(5, None), (12, None), (12, 2), (13, 1), (3, 2)])
def test_a_run_that_broke_off_ends_in_the_same_bits(make: Any, steps: int, every: int | None, tmp_path: Path) -> None:
    whole = make()
    expected = fit(whole, data, epochs=5, progress=False)
    with pytest.raises(Pulled):
        fit(pulled_after(make(), steps, Pulled), data, epochs=5, checkpoint=tmp_path / "a", every=every, progress=False)
    torch.manual_seed(999)
    second = make()
    if make is torch_learner:
        torch.rand(17)  # the generator is elsewhere meanwhile
    found = fit(second, data, epochs=5, checkpoint=tmp_path / "a", every=every, progress=False)
    assert found.train == expected.train
    assert bits(second) == bits(whole)


def test_resuming_does_no_step_twice(tmp_path: Path) -> None:
    with pytest.raises(Pulled):
        fit(pulled_after(Line(), 13, Pulled), data, epochs=4, checkpoint=tmp_path / "a", every=3, progress=False)
    second = Line()
    fit(second, data, epochs=4, checkpoint=tmp_path / "a", every=3, progress=False)
    assert second.steps == 7  # thirteen were done, the last three of them of epoch 3, which is saved after its third


def test_more_epochs_go_on_and_no_more_do_nothing(tmp_path: Path) -> None:
    fit(Line(), data, epochs=2, checkpoint=tmp_path / "a", progress=False)
    second, whole = Line(), Line()
    history = fit(second, data, epochs=6, checkpoint=tmp_path / "a", progress=False)
    fit(whole, data, epochs=6, progress=False)
    assert second.steps == 20
    assert len(history.train) == 6
    assert bits(second) == bits(whole)
    third = Line()
    fit(third, data, epochs=6, checkpoint=tmp_path / "a", progress=False)
    assert third.steps == 0
    assert bits(third) == bits(whole)
    fourth = Line()
    fit(fourth, data, epochs=1, checkpoint=tmp_path / "a", resume=False, progress=False)
    assert fourth.steps == 5


# ---- stopping ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("min_delta", [0.0, 0.25])
@pytest.mark.parametrize("patience", [1, 2, 4])
def test_it_stops_where_the_chapters_early_stopping_does(patience: int, min_delta: float) -> None:
    losses = [3.0, 2.5, 2.6, 2.4, 2.4, math.nan, 2.3, 2.0, 2.1, 1.9, 2.2, 2.3, 2.4, 2.5, 2.6]
    told = iter(losses)
    stopper = EarlyStopping(patience, min_delta)
    expected = next((k for k, loss in enumerate(losses) if stopper.update(loss)), len(losses) - 1)
    history = fit(
        Line(), data, epochs=15, evaluate=lambda: next(told), patience=patience, min_delta=min_delta, progress=False
    )
    assert len(history.train) == expected + 1
    assert history.best_epoch == stopper.best_epoch
    assert history.best == stopper.best
    assert history.stopped == "early"


def test_the_best_epoch_is_what_is_left() -> None:
    told, kept = iter([3.0, 1.0, 2.0, 5.0]), []
    learner = Line()

    def evaluate() -> float:
        kept.append(learner.w.copy())
        return next(told)

    history = fit(learner, data, epochs=4, evaluate=evaluate, progress=False)
    assert (history.best_epoch, history.best, history.stopped) == (1, 1.0, "finished")
    assert np.array_equal(learner.w, kept[1])
    assert not np.array_equal(learner.w, kept[3])


def test_an_interrupted_run_keeps_its_best_and_can_go_on(tmp_path: Path) -> None:
    learner = Line()
    history = fit(
        pulled_after(learner, 12, KeyboardInterrupt),
        data,
        epochs=5,
        evaluate=learner.loss,
        checkpoint=tmp_path / "a",
        progress=False,
    )
    assert history.stopped == "interrupted"
    assert len(history.train) == 2
    assert learner.loss() == history.best == min(history.held_out)
    again, whole = Line(), Line()
    fit(again, data, epochs=5, evaluate=again.loss, checkpoint=tmp_path / "a", progress=False)
    fit(whole, data, epochs=5, evaluate=whole.loss, progress=False)
    assert bits(again) == bits(whole)


def test_early_stopping_is_resumed_too(tmp_path: Path) -> None:
    losses = [1.0, 2.0, 2.0, 2.0]
    told = iter(losses)
    fit(Line(), data, epochs=2, evaluate=lambda: next(told), patience=3, checkpoint=tmp_path / "a", progress=False)
    history = fit(
        Line(), data, epochs=9, evaluate=lambda: next(told), patience=3, checkpoint=tmp_path / "a", progress=False
    )
    assert history.held_out == losses
    assert (history.stopped, history.best_epoch) == ("early", 0)


def test_wrong_use_is_told() -> None:
    with pytest.raises(ValueError, match="evaluate"):
        fit(Line(), data, epochs=1, patience=2)
    for wrong in ({"epochs": -1}, {"epochs": 1, "every": 0}):
        with pytest.raises(ValueError, match="or more"):
            fit(Line(), data, **wrong)  # type: ignore[arg-type]


# ---- files -------------------------------------------------------------------------------------------------------------
def test_everything_comes_back_as_it_was(tmp_path: Path) -> None:
    value = {
        "numbers": [1, -(2**130), 0.1, math.inf, True, None, "ŷ"],
        3: (np.float32(1.5), np.arange(6).reshape(2, 3), np.zeros((0, 4)), np.array(2.0)),
        "tensors": [
            torch.arange(4.0).reshape(2, 2).T,
            torch.tensor(1.5, dtype=torch.bfloat16),
            torch.zeros(0, 3),
            torch.tensor([True, False]),
        ],
        "empty": {},
    }
    save(tmp_path / "folder" / "a", value)
    found = load(tmp_path / "folder" / "a")
    assert found["numbers"] == value["numbers"]
    assert list(found) == list(value)
    assert found["empty"] == {}
    for before, after in zip(value[3], found[3], strict=True):
        assert type(after) is type(before)
        assert after.dtype == before.dtype
        assert after.shape == before.shape
        assert np.array_equal(after, before)
    for before, after in zip(value["tensors"], found["tensors"], strict=True):
        assert after.dtype == before.dtype
        assert torch.equal(after, before)
    assert math.isnan(_through(tmp_path, math.nan))


def _through(folder: Path, value: Any) -> Any:
    save(folder / "b", value)
    return load(folder / "b")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a", {"k": 1})

    def full(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(training.np, "save", full)
    with pytest.raises(OSError, match="full"):
        save(tmp_path / "a", {"k": np.ones(3)})
    assert load(tmp_path / "a") == {"k": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot hold a set"):
        save(tmp_path / "a", {"k": {1, 2}})
    with pytest.raises(CheckpointError, match="cannot hold a ndarray"):
        save(tmp_path / "a", np.array([object()]))
    (tmp_path / "a").write_text("no zip")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load(tmp_path / "a")
    save(tmp_path / "a", {"k": np.ones(1000)})
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:2000])
    with pytest.raises(CheckpointError, match="delete it"):
        load(tmp_path / "a")
    save(tmp_path / "a", {"k": 1})
    with pytest.raises(CheckpointError, match="holds no run"):
        fit(Line(), data, epochs=1, checkpoint=tmp_path / "a", progress=False)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing")
    fit(Line(), data, epochs=1, checkpoint=tmp_path / "b", progress=False)
    with pytest.raises(CheckpointError, match="evaluate"):
        fit(Line(), data, epochs=2, evaluate=lambda: 1.0, checkpoint=tmp_path / "b", progress=False)


def test_no_code_in_a_file_is_run(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w") as packed:
        packed.writestr("value.json", '{"array": 0}')
        packed.writestr("0.npy", b"\x80\x04cos\nsystem\n")  # a pickle
    with pytest.raises(CheckpointError):
        load(tmp_path / "a")


# ---- progress ----------------------------------------------------------------------------------------------------------
class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_in_a_terminal() -> None:
    now, stream = 0.0, Terminal()
    line = Progress(4, stream, lambda: now)
    history = History()
    for batch in range(1, 6):
        now = float(10 * batch)
        line.show(0, batch, 5, 2.0, history)
    history.train, history.held_out, history.best_epoch, history.seconds = [2.0], [1.25], 0, 50.0
    now = 60.0
    line.show(1, 1, 5, 1.5, history)
    said = stream.getvalue().split("\r")
    assert said[5].startswith("█████░░░░░░░░░░░░░░░ epoch 1/4 · loss 2.0000 · 2 min left")  # 15 batches of 10 s
    assert said[6].startswith("██████░░░░░░░░░░░░░░ epoch 2/4 · loss 1.5000 · held out 1.2500 · 2 min left")
    line.show(1, 2, 5, 1.5, history)  # no time has passed: not drawn again
    assert stream.getvalue().count("\r") == 6
    line.close(history)
    assert stream.getvalue().split("\r")[-1].rstrip(" \n") == (
        "finished after 1 epochs · best held out 1.2500, epoch 1 · 50 s"
    )
    assert stream.getvalue().endswith("\n")


def test_an_epoch_of_unknown_length_and_times() -> None:
    line = Progress(3, Terminal(), lambda: 0.0)
    assert line.line(0, 7, 0, 1.0, History()) == "epoch 1/3 · loss 1.0000 · batch 7"
    assert [training._duration(s) for s in (0.4, 89, 600, 7200, math.nan)] == ["0 s", "89 s", "10 min", "2.0 h", "? s"]


def test_one_line_an_epoch_where_lines_cannot_be_rewritten(capsys: pytest.CaptureFixture[str]) -> None:
    learner = Line()
    fit(learner, data, epochs=2, evaluate=learner.loss)
    heard = capsys.readouterr()
    lines = heard.out.splitlines()
    assert [line.partition(" · ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2", "finished after 2 epochs"]
    assert "held out" in lines[1]
    assert heard.err == ""


def test_in_a_notebook_one_place_is_written_again(tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    code = (
        "import numpy as np, time\nfrom course.kit.training import fit\n"
        "class L:\n    def step(self, batch):\n        time.sleep(0.03); return 1.0\n"
        "    def state_dict(self): return {}\n    def load_state_dict(self, state): pass\n"
        "history = fit(L(), lambda epoch: range(5), epochs=3)"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(
        notebook, kernel_name="python3", resources={"metadata": {"path": Path(__file__).parents[1]}}
    ).execute()
    [output] = notebook.cells[0].outputs
    assert output["output_type"] == "display_data"
    assert output["data"]["text/plain"].startswith("finished after 3 epochs")


def test_numpy_learners_do_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\nimport numpy as np\nfrom course.kit import training\n"
        f"training.save({str(tmp_path / 'a')!r}, [np.ones(2)])\nprint(training.load({str(tmp_path / 'a')!r}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert (run.stdout, run.stderr) == ("[array([1., 1.])]\n", "")
