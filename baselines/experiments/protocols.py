"""A comparison, frozen: what runs, on what, judged how. The file is described in `baselines.experiments`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, final, get_args

from baselines.experiments.methods import full_settings, read_method
from baselines.experiments.suites import Suite, make_suite, suite_kind
from optimizers.registry import OPTIMIZERS, get_optimizer
from semrob_env.errors import InvalidBudgetError, InvalidParameterError, MissingFileError, SemrobError
from semrob_env.files import bounded_text
from semrob_env.metrics import Judge
from semrob_env.metrics.certificates import CERTIFICATE_POINTS, CONFIDENCE
from semrob_env.questions import Goal, MeanGoal, Question, checked_cost, read_goal
from semrob_env.store import RunTask, canonical_json

ValueT = TypeVar("ValueT")

FORMAT = "semrob comparison"
VERSION = 3

Measure = Literal["regions", "failures"]
"""What is compared: regions around start points, or failing views found near them."""

DIFFERENCES = "+differences"
"""What a search for failures by central differences instead of gradients is called by, after its method."""

MOST_BYTES = 2**24
"""Largest file that is read."""

MOST_RUNS, MOST_RESAMPLES = 10**7, 10**5
"""Runs that a comparison may ask for, and resamples: more fit into no memory."""

RUN_JUDGE_POINTS = 8
"""Points of the judge in the store's rows: few, for a comparison judges by itself."""


@final
@dataclass(frozen=True)
class Entry:
    """A method with settings, under a label of its own."""

    label: str  # unique in a comparison
    method: str  # registered name
    method_version: int  # version of the method's code
    settings: str  # canonical JSON object of all hyperparameters

    @classmethod
    def of(cls, text: str, measure: Measure = "regions") -> Entry:
        """The entry of a text like `naive` or `nevergrad:algorithm=DE:points=8`; the text is its label.

        Args:
            text: A method and settings; of points, `pgd+differences:radius=0.2` too.
            measure: What is compared.

        Raises:
            UnknownNameError: No such method.
            InvalidParameterError: A setting that the method does not have, a method that does not answer with what is
                compared, or differences of one that uses no gradient.
        """
        name, *settings = text.split(":")
        plain = name.removesuffix(DIFFERENCES) if measure == "failures" else name
        method, full = read_method(":".join([plain, *settings]))
        wanted = "points" if measure == "failures" else "regions"
        if method.recommends != wanted:
            raise InvalidParameterError(
                f"{method.name} recommends {method.recommends}; a comparison is one of {wanted}"
            )
        if plain != name and not method.uses_gradient:
            raise InvalidParameterError(f"{plain} uses no gradient; leave {DIFFERENCES} away")
        return cls(text, method.name, method.version, full)

    @property
    def by_differences(self) -> bool:
        """Whether it estimates gradients by central differences, whatever the function has; labels say all."""
        return self.label.split(":")[0].endswith(DIFFERENCES)

    @property
    def plans(self) -> bool:
        """Whether the method plans by its budget: then runs of other budgets are other runs from their first step."""
        return get_optimizer(self.method).plans_by_budget

    @property
    def is_stochastic(self) -> bool:
        """Whether the method draws anything."""
        method = get_optimizer(self.method)
        return bool(method.is_stochastic or method.settings_class.from_mapping(json.loads(self.settings)).draws)

    @property
    def shares_samples(self) -> bool:
        """Whether one set of its samples serves all start points of a function."""
        return get_optimizer(self.method).shares_samples

    def task(self, question: Question, budget: int, seed: int, gradient_cost: float) -> RunTask:
        """The run on a question; a method that does not use the goal has the same one for all of them."""
        goal = question.goal if get_optimizer(self.method).uses_goal else MeanGoal()
        asked = replace(question, goal=goal, budget=budget, gradient_cost=gradient_cost)
        return RunTask(
            asked, self.method, self.settings, seed=seed, judge_points=RUN_JUDGE_POINTS, certificate_points=0
        )


@final
@dataclass(frozen=True)
class PlannedRun:
    """One run and the question it answers; several questions may share a task."""

    entry: int  # number of the entry
    question: int  # number of the question
    budget: int  # of the plan
    seed: int  # of the run
    task: RunTask  # for the store


@final
@dataclass(frozen=True, kw_only=True)
class Protocol:
    """All that defines a comparison; see `baselines.experiments`. `Suite.frozen` gives the fields that are about it.

    Raises:
        InvalidBudgetError: No budget, or one below 1.
        InvalidParameterError: Anything else that is not as above.
    """

    suite: str  # name of the suite
    options: str  # canonical JSON object of its options
    goals: tuple[Goal, ...]  # what regions must meet
    entries: tuple[Entry, ...]  # what is compared
    budgets: tuple[int, ...]  # rising
    seeds: tuple[int, ...] = (0,)  # of methods that draw something; others run with the first one
    gradient_cost: float = 1.0  # weight of a gradient query
    judge_points: int = 256  # held-out points a region
    judge_seed: int = 0  # their seed
    # degrees between the lines of the maps that judge regions of live functions; 0: points do
    judge_map_step: float = 0.0
    certificate_points: int = CERTIFICATE_POINTS  # independent points that certify a final region
    confidence: float = CONFIDENCE  # of each certificate
    targets: tuple[float, ...] = (0.5, 0.8, 0.9)  # shares of the optimum, rising
    resamples: int = 2000  # of the bootstrap
    level: float = 0.95  # of its intervals
    bootstrap_seed: int = 0  # its seed
    questions: tuple[int, str]  # how many there are, and their digest
    measure: Measure = "regions"  # what is compared

    def __post_init__(self) -> None:
        if self.measure not in get_args(Measure):
            raise InvalidParameterError(f"measure {self.measure!r:.40}: choose {' or '.join(get_args(Measure))}")
        if self.measure == "failures" and len(self.goals) != 1:
            raise InvalidParameterError(
                f"{len(self.goals)} goals: failures are compared for one, whose level says which views fail; give "
                "--goal mean=0.5"
            )
        if not self.budgets or min(self.budgets) < 1 or list(self.budgets) != sorted(set(self.budgets)):
            raise InvalidBudgetError(f"budgets {list(self.budgets)}: give whole numbers of at least 1, rising")
        labels = [entry.label for entry in self.entries]
        if not labels or len(set(labels)) < len(labels):
            raise InvalidParameterError(f"methods {', '.join(labels)}: give at least one, and each once")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise InvalidParameterError(f"seeds {list(self.seeds)}: give whole numbers, 0 or above, each once")
        if not self.goals or len(set(self.goals)) < len(self.goals):
            raise InvalidParameterError("goals: give at least one, and each once")
        rising = list(self.targets) == sorted(set(self.targets))
        if not self.targets or not rising or not 0 < self.targets[0] <= self.targets[-1] <= 1:
            raise InvalidParameterError(f"targets {list(self.targets)}: give shares above 0 and up to 1, rising")
        if not 2 <= self.resamples <= MOST_RESAMPLES or not 0 < self.level < 1 or self.bootstrap_seed < 0:
            raise InvalidParameterError(
                f"{self.resamples} resamples at level {self.level}, seed {self.bootstrap_seed}: from 2 to "
                f"{MOST_RESAMPLES}, in (0, 1), 0 or above"
            )
        checked_cost(self.gradient_cost)
        self.judge(self.goals[0])
        if self.judge_map_step and (self.measure != "regions" or not suite_kind(self.suite).is_live):
            raise InvalidParameterError(
                f"a judge's map step of {self.judge_map_step:g}: maps judge regions of live suites; leave it out"
            )
        asked = len(self.entries) * len(self.budgets) * len(self.seeds) * self.questions[0]
        if not 0 <= asked <= MOST_RUNS:
            raise InvalidParameterError(f"{asked} runs: a comparison has at most {MOST_RUNS}; split it")

    def judge(self, goal: Goal) -> Judge:
        """Who judges regions by a goal."""
        return Judge(goal, self.judge_points, self.judge_seed, self.certificate_points, self.confidence)

    def to_json(self) -> str:
        """The text of the file."""
        return json.dumps(self._mapping(), indent=2) + "\n"

    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON."""
        return hashlib.sha256(canonical_json(self._mapping()).encode()).hexdigest()

    def make_suite(self, maps_file: str) -> Suite:
        """The suite, if its questions are those that were frozen.

        Raises:
            InvalidParameterError: They are others: other maps, weights or versions of functions.
        """
        suite = self._suite_of_today(maps_file)
        if (len(suite.questions), suite.digest()) != self.questions:
            raise InvalidParameterError(
                f"the protocol was frozen on {self.questions[0]} questions, here are {len(suite.questions)} that "
                "differ (other maps, weights or versions of functions); --freeze FILE makes a new one"
            )
        return suite

    def frozen_again(self, maps_file: str) -> tuple[Protocol, Suite]:
        """The same comparison of the methods and questions as they are here and now.

        Entries are read again from their labels, so defaults are those of today.
        """
        suite = self._suite_of_today(maps_file)
        entries = tuple(Entry.of(entry.label, self.measure) for entry in self.entries)
        return replace(self, entries=entries, **suite.frozen()), suite

    def _suite_of_today(self, maps_file: str) -> Suite:
        options = {name: tuple(words) for name, words in json.loads(self.options).items()}
        return make_suite(self.suite, options, self.goals, maps_file)

    def runs(self, suite: Suite) -> Iterator[PlannedRun]:
        """All runs, entry by entry, budget by budget."""
        for index, entry in enumerate(self.entries):
            for budget in self.budgets:
                for number, question in enumerate(suite.questions):
                    for seed in self.seeds if entry.is_stochastic else self.seeds[:1]:
                        task = entry.task(question, budget, seed, self.gradient_cost)
                        yield PlannedRun(index, number, budget, seed, task)

    def _mapping(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            **({} if self.measure == "regions" else {"measure": self.measure}),
            "suite": self.suite,
            "options": json.loads(self.options),
            "goals": [goal.text for goal in self.goals],
            "entries": [{**asdict(entry), "settings": json.loads(entry.settings)} for entry in self.entries],
            "budgets": list(self.budgets),
            "seeds": list(self.seeds),
            "gradient_cost": self.gradient_cost,
            "judge": {
                "points": self.judge_points,
                "seed": self.judge_seed,
                "certificate_points": self.certificate_points,
                "confidence": self.confidence,
                **({"map_step": self.judge_map_step} if self.judge_map_step else {}),
            },
            "targets": list(self.targets),
            "bootstrap": {"resamples": self.resamples, "level": self.level, "seed": self.bootstrap_seed},
            "questions": {"count": self.questions[0], "sha256": self.questions[1]},
        }


def published_protocols() -> dict[str, Path]:
    """Files of the published comparisons by name."""
    found = (Path(__file__).parent / "published").glob("*.json")
    return {path.stem: path for path in sorted(found, key=lambda path: path.stem)}


def load_protocol(name: str | PathLike[str], *, any_version: bool = False) -> Protocol:
    """Read a protocol file.

    Args:
        name: Of a published comparison, or the path of a file.
        any_version: Take entries of other versions of methods than those here; their runs would be of these.

    Raises:
        MissingFileError: It cannot be read.
        InvalidParameterError: It is no protocol, of another version of the format, or of another version of a method.
        UnknownNameError: It names a method that is not registered.
    """
    path = published_protocols().get(str(name), Path(name))
    try:
        data = json.loads(bounded_text(path, MOST_BYTES))
    except SemrobError:
        raise
    except OSError as error:
        known = ", ".join(published_protocols())
        raise MissingFileError(
            f"cannot read protocol {path}: {error.strerror or error}; --suite makes one, published are {known}"
        ) from error
    except (ValueError, RecursionError) as error:  # a path with a null byte, too
        raise InvalidParameterError(f"protocol {path} is no JSON: {error}") from error
    if not isinstance(data, dict) or (data.get("format"), data.get("version")) != (FORMAT, VERSION):
        raise InvalidParameterError(f"{path} is no protocol of format {FORMAT!r}, version {VERSION}; --suite makes one")
    try:
        protocol = _read(data)
    except SemrobError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidParameterError(
            f"protocol {path} is damaged: {type(error).__name__} {str(error)[:200]}; --suite makes one"
        ) from error
    for entry in protocol.entries:
        now = get_optimizer(entry.method).version
        if now != entry.method_version and not any_version:
            raise InvalidParameterError(
                f"protocol {path} was frozen on version {entry.method_version} of {entry.method}, here is {now}; "
                f"--protocol {name} --freeze FILE makes a new one"
            )
    return protocol


def _read(data: Mapping[str, Any]) -> Protocol:
    """The protocol of what `Protocol.to_json` writes.

    Raises:
        KeyError, TypeError: A field is missing or of another type.
        SemrobError: A field that cannot be.
    """
    judge, bootstrap, questions = (_of(dict, data[name]) for name in ("judge", "bootstrap", "questions"))
    options = {name: _each(str, words) for name, words in _of(dict, data["options"]).items()}
    return Protocol(
        suite=_of(str, data["suite"]),
        options=canonical_json(options),
        goals=tuple(map(read_goal, _each(str, data["goals"]))),
        entries=tuple(map(_entry, _each(dict, data["entries"]))),
        budgets=_each(int, data["budgets"]),
        seeds=_each(int, data["seeds"]),
        gradient_cost=_of(float, data["gradient_cost"]),
        judge_points=_of(int, judge["points"]),
        judge_seed=_of(int, judge["seed"]),
        judge_map_step=_of(float, judge.get("map_step", 0.0)),
        certificate_points=_of(int, judge["certificate_points"]),
        confidence=_of(float, judge["confidence"]),
        targets=_each(float, data["targets"]),
        resamples=_of(int, bootstrap["resamples"]),
        level=_of(float, bootstrap["level"]),
        bootstrap_seed=_of(int, bootstrap["seed"]),
        questions=(_of(int, questions["count"]), _of(str, questions["sha256"])),
        measure=cast(Measure, data.get("measure", "regions")),
    )


def _entry(data: Mapping[str, Any]) -> Entry:
    kinds = {"label": str, "method": str, "method_version": int, "settings": dict}
    if data.keys() != kinds.keys():
        raise TypeError(f"an entry has {', '.join(data)}, not {', '.join(kinds)}")
    own: dict[str, Any] = {name: _of(kind, data[name]) for name, kind in kinds.items()}
    full_settings(get_optimizer(own["method"]), own["settings"])  # told here if it cannot be
    return Entry(**{**own, "settings": canonical_json(own["settings"])})


def _each(kind: type[ValueT], values: Any) -> tuple[ValueT, ...]:
    return tuple(_of(kind, value) for value in _of(list, values))


def _of(kind: type[ValueT], value: Any) -> Any:
    """A value of JSON, as it is, if it is of this type; whole numbers pass for numbers, and all have an end."""
    is_kind = type(value) is kind or (kind is float and type(value) is int)
    if not is_kind or (isinstance(value, int | float) and not abs(value) < 2**53):
        raise TypeError(f"{str(value)[:40]!r} is no {kind.__name__}, or too large")
    return value


def read_entries(texts: Sequence[str], measure: Measure = "regions") -> tuple[Entry, ...]:
    """Entries of texts as `Entry.of` takes them; `all` stands for every registered method of what is compared.

    Raises:
        UnknownNameError, InvalidParameterError: As `Entry.of`.
    """
    wanted_kind = "points" if measure == "failures" else "regions"
    every = [name for name, method in OPTIMIZERS.items() if method.recommends == wanted_kind]
    wanted = [name for text in texts for name in (every if text == "all" else [text])]
    return tuple(Entry.of(text, measure) for text in dict.fromkeys(wanted))
