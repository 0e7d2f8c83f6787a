"""Every kind of exercise that the design lists can be written as one definition, frozen, asked and judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from autograder import frozen
from autograder.checking import verdict_of
from autograder.exercise import Exercise, ExerciseError, Seed, Sheet, case, exercise, explanation
from autograder.sandbox.calling import call
from autograder.verdict import Verdict, judge


def frozen_sheet(made: Exercise) -> Sheet:
    """A sheet as ``check`` gets it: through the bytes of a frozen file."""
    return frozen.thaw(frozen.freeze([made]))[made.name]


def verdicts(made: Exercise, function: Any) -> list[Verdict]:
    """Verdicts on frozen and on fresh cases."""
    return [verdict_of(frozen_sheet(made), function), verdict_of(made.sheet("a secret"), function)]


def assert_passes(made: Exercise, function: Any) -> None:
    for verdict in verdicts(made, function):
        assert verdict.passed, verdict.headline
        assert verdict.points == made.points


def assert_fails(made: Exercise, function: Any, kind: str, *words: str) -> None:
    for verdict in verdicts(made, function):
        assert not verdict.passed
        assert verdict.points == 0
        assert verdict.kind == kind, (verdict.kind, verdict.headline)
        said = verdict.headline + dict(verdict.evidence).get("found", "")
        for word in words:
            assert word in said, said


# ---- a function, with an error it promises -----------------------------------------------------------------------------
def weighted_mean(x: np.ndarray, w: np.ndarray) -> float:
    """Mean of x with weights w."""
    if len(x) != len(w):
        raise ValueError("x and w differ in length")
    return float((x * w).sum() / w.sum())


def make_function() -> Exercise:
    @exercise(weighted_mean, points=2)
    def weighted_mean_cases(rng):  # type: ignore[no-untyped-def]
        """Average with weights."""
        yield case(x=rng.normal(size=5), w=rng.uniform(1, 2, size=5))
        yield case("lengths differ", x=np.ones(3), w=np.ones(2))

    return weighted_mean_cases


def named(name: str, cases: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    cases.__name__ = name
    return cases


def test_a_function() -> None:
    def cases(rng):  # type: ignore[no-untyped-def]
        """Average with weights."""
        yield case(x=rng.normal(size=5), w=rng.uniform(1, 2, size=5))
        yield case("lengths differ", x=np.ones(3), w=np.ones(2))

    made = exercise(weighted_mean, points=2)(named("weighted_mean", cases))
    assert_passes(made, weighted_mean)
    assert_fails(made, lambda x, w: float(x.mean()), "value", "was expected")
    # Right numbers, but the promised ValueError is missing.
    assert_fails(made, lambda x, w: float((x[: len(w)] * w).sum() / w.sum()), "not-raised", "ValueError")


def test_a_definition_must_carry_the_name_of_its_reference() -> None:
    with pytest.raises(ExerciseError, match=r"test_kinds\.py:\d+: exercise 'weighted_mean_cases' must carry"):
        make_function()


# ---- a gradient ----------------------------------------------------------------------------------------------------
def affine(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    """xw + b."""
    return x @ w + b


def affine_backward(grad_y: np.ndarray, x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of affine."""
    return grad_y @ w.T, x.T @ grad_y, grad_y.sum(axis=0)


def gradient_exercise() -> Exercise:
    def cases(rng):  # type: ignore[no-untyped-def]
        """Pass the gradient through y = xw + b."""
        for batch, inputs, outputs in [(1, 2, 3), (4, 3, 5), (7, 5, 2)]:
            yield case(
                grad_y=rng.normal(size=(batch, outputs)),
                x=rng.normal(size=(batch, inputs)),
                w=rng.normal(size=(inputs, outputs)),
            )

    made = exercise(affine_backward, points=3, returns=("grad_x", "grad_w", "grad_b"))(named("affine_backward", cases))
    made.gradient_of(affine, wrt=("x", "w", "b"), upstream="grad_y")

    @made.mistake("The bias is shared by all rows, so its gradient is a sum over rows.")
    def mean_over_rows(grad_y, x, w):  # type: ignore[no-untyped-def]
        return grad_y @ w.T, x.T @ grad_y, grad_y.mean(axis=0)

    return made


def test_a_gradient() -> None:
    made = gradient_exercise()
    assert_passes(made, affine_backward)
    assert made.gradient is not None
    assert made.gradient.wrt == ("x", "w", "b")
    assert_fails(made, lambda grad_y, x, w: (grad_y @ w.T, x.T @ grad_y), "length", "3 values (grad_x, grad_w, grad_b)")
    assert_fails(
        made, lambda grad_y, x, w: (grad_y @ w.T, grad_y.T @ x, grad_y.sum(0)), "shape", "`grad_w`", "transpose"
    )
    assert_fails(made, lambda grad_y, x, w: (grad_y @ w.T, x.T @ grad_y, grad_y), "shape", "`grad_b`")


def listening() -> Exercise:
    """As the chapters have it: the judge notices beside the values whether NumPy warned."""

    def cases(rng):  # type: ignore[no-untyped-def]
        """Divide by the sum where there is one."""
        yield case(x=rng.uniform(1, 2, size=(3, 4)))
        yield case("a row of zeros", x=np.array([[1.0, 3.0], [0.0, 0.0]]))

    def shares(x: np.ndarray) -> np.ndarray:
        total = x.sum(axis=1, keepdims=True)
        return x / np.where(total == 0, 1, total)

    made = exercise(shares, points=1, returns=("values", "numeric_warning"))(named("shares", cases))

    @made.probe
    def while_listening(student, x):  # type: ignore[no-untyped-def]
        import warnings

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            value = student(x)
        answers = value if isinstance(value, tuple) else (value,)
        return (*answers, any(issubclass(one.category, RuntimeWarning) for one in caught))

    return made


def test_what_is_noticed_beside_the_answer_has_a_sentence_and_is_not_asked_for() -> None:
    made = listening()
    assert_passes(made, made.reference)
    assert_fails(made, lambda x: np.nan_to_num(x / x.sum(axis=1, keepdims=True)), "observed", "NumPy warned on the way")
    verdict = verdict_of(frozen_sheet(made), lambda x: (x, x))
    assert verdict.headline.startswith("It should return one value (values); it returned 2 values.")
    assert "numeric_warning" not in verdict.headline


def test_a_known_mistake_is_named() -> None:
    made = gradient_exercise()
    for verdict in verdicts(made, made.mistakes[0].implementation):
        assert verdict.misconception == "mean_over_rows"
        assert verdict.headline == made.mistakes[0].sentence
        assert verdict.case == 2  # with one row, sum and mean are the same


# ---- a stateful class --------------------------------------------------------------------------------------------------
class Momentum:
    """Gradient descent with momentum."""

    def __init__(self, lr: float, beta: float) -> None:
        """Start with zero velocity."""
        self.lr, self.beta, self.velocity = lr, beta, 0.0

    def step(self, w: np.ndarray, grad: np.ndarray) -> np.ndarray:
        """One step."""
        self.velocity = self.beta * self.velocity + grad
        return w - self.lr * self.velocity


class Forgetful(Momentum):
    """Forgets its velocity."""

    def step(self, w: np.ndarray, grad: np.ndarray) -> np.ndarray:
        return w - self.lr * grad


def test_a_stateful_class() -> None:
    def cases(rng):  # type: ignore[no-untyped-def]
        """Step twenty times and return the path."""
        yield case(w=rng.normal(size=3), grads=rng.normal(size=(20, 3)), lr=0.1, beta=0.9)

    made = exercise(Momentum, points=2)(named("Momentum", cases))

    @made.probe
    def path(student, w, grads, lr, beta):  # type: ignore[no-untyped-def]
        optimiser = student(lr=lr, beta=beta)
        steps = []
        for grad in grads:
            w = optimiser.step(w, grad)
            steps.append(w)
        return np.stack(steps)

    assert_passes(made, Momentum)
    assert_fails(made, Forgetful, "value", "at [1, 0]")  # the first step is right
    torch_path = []
    fresh = made.generate("torch")[0].inputs
    parameter = torch.nn.Parameter(torch.tensor(fresh["w"]))
    optimiser = torch.optim.SGD([parameter], lr=0.1, momentum=0.9)
    for grad in fresh["grads"]:
        parameter.grad = torch.tensor(grad)
        optimiser.step()
        torch_path.append(parameter.detach().clone().numpy())
    ours = call(Momentum, fresh, made.probe_source).value
    np.testing.assert_allclose(ours, np.stack(torch_path), rtol=1e-12)


# ---- a torch module ----------------------------------------------------------------------------------------------------
class Gate(torch.nn.Module):
    """sigmoid(xw) * x."""

    def __init__(self, size: int) -> None:
        """A square weight."""
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(size, size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Gate every input."""
        return torch.sigmoid(x @ self.weight) * x


class Ungated(Gate):
    """Detaches its gate."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(x @ self.weight).detach() * x


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def test_a_torch_module(device: str) -> None:
    def cases(rng):  # type: ignore[no-untyped-def]
        """Gate a batch."""
        yield case(
            weight=rng.normal(size=(3, 3)).astype(np.float32),
            x=rng.normal(size=(2, 3)).astype(np.float32),
            device=device,
        )

    made = exercise(Gate, points=4, returns=("output", "grad_weight"))(named("Gate", cases))

    @made.probe
    def forward_and_backward(student, weight, x, device):  # type: ignore[no-untyped-def]
        import torch

        model = student(len(weight)).to(device)
        model.load_state_dict({"weight": torch.tensor(weight)})
        output = model(torch.tensor(x, device=device))
        output.sum().backward()
        gradient = model.weight.grad
        return output, torch.zeros(0) if gradient is None else gradient

    assert_passes(made, Gate)
    assert_fails(made, Ungated, "type", "does not require grad")


# ---- a random one ------------------------------------------------------------------------------------------------------
def dropout_mask(rng: np.random.Generator, size: int, keep: float) -> np.ndarray:
    """Which units stay."""
    return rng.random(size) < keep


def test_a_random_one() -> None:
    def cases(rng):  # type: ignore[no-untyped-def]
        """Draw a mask from the generator given."""
        yield case(rng=Seed(int(rng.integers(1 << 30))), size=20, keep=0.7)

    made = exercise(dropout_mask, points=1)(named("dropout_mask", cases))
    assert_passes(made, dropout_mask)
    assert_fails(made, lambda rng, size, keep: np.random.default_rng(0).random(size) < keep, "value")
    assert_fails(made, lambda rng, size, keep: (rng.random(size) < keep).astype(float), "dtype", "float64", "bool")


# ---- a trained result --------------------------------------------------------------------------------------------------
def train(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Least squares as a classifier."""
    features = np.hstack([x, np.ones((len(x), 1))])
    solution = np.linalg.lstsq(features, 2.0 * y - 1, rcond=None)[0]
    return solution[:-1], float(solution[-1])


def trained_exercise() -> Exercise:
    def cases(rng):  # type: ignore[no-untyped-def]
        """Learn from x, y; the trusted side keeps the answers of the test set."""
        w = rng.normal(size=3)
        x, x_test = rng.normal(size=(80, 3)), rng.normal(size=(200, 3))
        yield case(x=x, y=(x @ w > 0).astype(int), x_test=x_test).hold(y_test=x_test @ w > 0)

    made = exercise(train, points=5)(named("train", cases))

    @made.probe
    def answers(student, x, y, x_test):  # type: ignore[no-untyped-def]
        w, b = student(x, y)
        return x_test @ w + b > 0

    @made.criterion
    def accurate(outputs, held):  # type: ignore[no-untyped-def]
        accuracy = float(np.mean(outputs["result"] == held["y_test"]))
        return None if accuracy >= 0.9 else f"accuracy on new data is {accuracy:.1%}; at least 90 % is needed."

    return made


def test_a_trained_result() -> None:
    made = trained_exercise()
    assert_passes(made, train)
    assert_passes(made, lambda x, y: ((2.0 * y - 1) @ x, 0.0))  # another way to the goal
    assert_fails(made, lambda x, y: (np.zeros(3), 0.0), "criterion", "at least 90 %")
    question = frozen_sheet(made).questions[0]
    assert "y_test" in question.held
    assert "y_test" not in question.inputs


def test_a_costly_reference_is_asked_only_where_its_answer_is_shown() -> None:
    asked, short = [], True

    def long_run(steps: int) -> np.ndarray:
        """Train for so many steps."""
        asked.append(steps)
        if steps > 9:
            raise ValueError("too long")
        return np.full(3, 0.5**steps)

    def cases(rng):  # type: ignore[no-untyped-def]
        """Train until little is left."""
        yield case(steps=int(rng.integers(5, 9)) if short else 10)

    def close_to_zero(outputs, held):  # type: ignore[no-untyped-def]
        a, b, c = outputs["result"]
        return None if max(abs(a), abs(b), abs(c)) < 0.1 else "more than 0.1 is left."

    made = exercise(long_run, points=1, costly=True)(named("long_run", cases))
    made.criterion(close_to_zero)
    assert verdict_of(made.sheet("fresh"), lambda steps: np.zeros(3)).passed
    assert verdict_of(made.sheet("fresh"), lambda steps: np.ones(3)).headline == "more than 0.1 is left."
    assert not asked

    verdict = verdict_of(made.sheet("fresh"), lambda steps: np.zeros(2))  # of another form: what passes is shown
    assert "an answer that passes" in dict(verdict.evidence)
    assert len(asked) == 1
    frozen_sheet(made)  # what is frozen for the notebook holds the answer
    assert len(asked) == 2

    every = exercise(long_run, points=1)(named("long_run", cases))
    every.criterion(close_to_zero)
    every.sheet("fresh")
    assert len(asked) == 3

    short = False
    fails = exercise(long_run, points=1, costly=True)(named("long_run", cases))
    fails.criterion(close_to_zero)
    with pytest.raises(ExerciseError, match="the reference of 'long_run' fails: too long"):
        frozen.freeze([fails])  # a costly reference promises no error: the build finds out


def test_a_model_that_peeks_at_the_future_is_caught() -> None:
    def running_mean(x: np.ndarray) -> np.ndarray:
        """Mean of all steps up to each."""
        return np.cumsum(x) / np.arange(1, len(x) + 1)

    def cases(rng):  # type: ignore[no-untyped-def]
        """Predict each step from the past alone."""
        yield case(x=rng.normal(size=8), at=5)

    made = exercise(running_mean, points=1)(named("running_mean", cases))

    @made.probe
    def with_another_future(student, x, at):  # type: ignore[no-untyped-def]
        changed = x.copy()
        changed[at:] += 1
        return {"same past": student(x)[:at] - student(changed)[:at]}

    @made.criterion
    def causal(outputs, held):  # type: ignore[no-untyped-def]
        return None if np.all(outputs["same past"] == 0) else "a change in the future changes what is said of the past."

    assert_passes(made, running_mean)
    assert_fails(made, lambda x: x - x.mean(), "criterion", "future")


# ---- an explanation ----------------------------------------------------------------------------------------------------
def test_an_explanation() -> None:
    made = explanation("why", points=3, question="Why?", rubric=((1, "because"), (2, "and so")), answer="Because.")
    assert made.rubric_markdown == "* **1** – because\n* **2** – and so"
    with pytest.raises(ExerciseError, match=r"test_kinds\.py:\d+: the rubric of 'whence' adds up to 1 points, not 3"):
        explanation("whence", points=3, question="?", rubric=((1, "x"),), answer="y")


# ---- seeds -------------------------------------------------------------------------------------------------------------
def test_the_same_seed_gives_the_same_sheet_and_another_seed_another() -> None:
    made = gradient_exercise()
    first, again, other = (made.sheet(seed) for seed in ("one", "one", "two"))
    for a, b in zip(first.questions, again.questions, strict=True):
        np.testing.assert_array_equal(a.inputs["x"], b.inputs["x"])
    assert not np.array_equal(first.questions[0].inputs["x"], other.questions[0].inputs["x"])


def test_answers_to_the_visible_cases_do_not_pass_fresh_ones() -> None:
    made = gradient_exercise()
    table = {q.inputs["x"].tobytes(): q.expected.value for q in frozen_sheet(made).questions}

    def looks_up(grad_y: np.ndarray, x: np.ndarray, w: np.ndarray) -> Any:
        return table.get(x.tobytes(), (np.zeros_like(x), np.zeros_like(w), np.zeros(w.shape[1])))

    assert verdict_of(frozen_sheet(made), looks_up).passed
    assert not verdict_of(made.sheet("fresh"), looks_up).passed


def test_fewer_answers_than_questions_never_pass() -> None:
    made = gradient_exercise()
    sheet = made.sheet("x")
    answers = [call(affine_backward, question.inputs) for question in sheet.questions]
    assert judge(sheet, answers).passed
    assert not judge(sheet, answers[:-1]).passed
    assert not judge(sheet, []).passed
