"""Right answers got in a way that the exercise does not mean: flagged, the score unchanged."""

from autograder.grading import demo
from autograder.grading.attacks import FIRST, Attempt, Outcome, Stage, attack, essential, everything
from autograder.notebooks import exercises, instructor_notebook, without_markers
from autograder.paths import chapter


@attack(55, "call the banned library, openly, through getattr, through exec", "F", unshown="the answers are right")
def banned_library(stage: Stage) -> Attempt:
    return Attempt(
        cells={
            FIRST: """
            def threshold_unit(x, w, b):
                import sys
                import torch as t

                layer = getattr(t, "n" + "n")
                unit = getattr(layer, "Lin" + "ear")(len(w), 1).double()
                with t.no_grad():
                    unit.weight[:] = t.as_tensor(np.array(w, dtype=float))
                    unit.bias[:] = b
                    z = unit(t.as_tensor(np.array(x, dtype=float)))
                return (z.numpy()[:, 0] > 0).astype(int)
            """,
            "fold_bias": """
            def fold_bias(x, w, b):
                space = {"np": np, "x": x, "w": w, "b": b}
                exec("import torch.nn.functional as F, torch; "
                     "xf = F.pad(torch.as_tensor(np.array(x, dtype=float)), (0, 1), value=1.0).numpy(); "
                     "wf = np.append(w, b)", space)
                return space["xf"], space["wf"]
            """,
            "perceptron_update": """
            import torch

            def perceptron_update(x, y, w, b):
                z = torch.tensor(np.array(w, dtype=float), requires_grad=True)
                (z @ torch.tensor(np.array(x, dtype=float))).backward()
                step = y - int(x @ w + b > 0)
                return w + step * z.grad.numpy(), b + step
            """,
        },
        costs=("mistake_bound", "train_perceptron"),  # they call two of these
    )


@banned_library.judged_by
def library_flagged(stage: Stage, made: Attempt) -> Outcome:
    with stage.watched() as seen:
        graded = stage.grade(made)
        seen.text = everything(graded)
    return flagged_only(stage, made, graded, seen)


def flagged_only(stage, made, graded, seen):
    """Everything passes; what cheats is flagged, what is honest is not."""
    wrong = list(seen.troubles)
    wrong += [f"{name} lost its points" for name, verdict in graded.verdicts.items() if not verdict.passed]
    wrong += [f"{name} is not flagged" for name in made.cells if not graded.verdicts[name].flags]
    honest = [name for name in graded.verdicts if name not in made.cells and name not in made.costs]
    wrong += [f"{name} is flagged" for name in honest if graded.verdicts[name].flags]
    said = " ".join(flag for name in made.cells for flag in graded.verdicts[name].flags[:1])
    return Outcome("; ".join(wrong) or "F", said)


@attack(56, "a backward pass by finite differences", "F", unshown="the answers are right")
def finite_differences(stage: Stage) -> Attempt:
    return Attempt(
        cells={
            "affine_backward": """
            def affine_backward(grad_y, x, w, b):
                inputs = [np.array(x, dtype=float), np.array(w, dtype=float), np.array(b, dtype=float)]

                def loss(x, w, b):
                    return float(np.sum(grad_y * (x @ w + b)))

                grads = []
                for array in inputs:
                    grad = np.zeros_like(array)
                    for index in np.ndindex(array.shape):
                        before = array[index]
                        array[index] = before + 0.5
                        above = loss(*inputs)
                        array[index] = before - 0.5
                        grad[index] = above - loss(*inputs)
                        array[index] = before
                    grads.append(grad)
                return tuple(grads)
            """
        },
        costs=("mlp_backward",),  # it calls affine_backward
    )


@finite_differences.judged_by
def differences_flagged(stage: Stage, made: Attempt) -> Outcome:
    """In the chapter about backward passes, where affine_backward is linear, so that a large step is exact."""
    six = chapter("06")
    known = {one.name: one for one in exercises(six)}
    notebook = essential(without_markers(instructor_notebook(six)))
    notebook.cells[demo.position(notebook, "affine_backward")].source = stage.fill(made.cells["affine_backward"])
    with stage.watched() as seen:
        graded = stage.grade_notebook(notebook, made.seed, known=known)
        seen.text = everything(graded)
    return flagged_only(stage, made, graded, seen)
