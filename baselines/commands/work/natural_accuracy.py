"""Asks networks for natural photographs, and sets what they answer beside published figures and SRVR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from rich.progress import Progress, TaskID

from baselines.commands.natural_accuracy import NaturalAccuracyOptions
from baselines.commands.shared.networks import tell
from baselines.commands.shared.terminal import Bundle, Console, progress_bar, seconds_of
from baselines.experiments.answers import KeptAnswers
from baselines.experiments.natural import Figure, PhotoAnswers, accuracy_of, anomaly_of, check_network, photo_answers
from semrob_env.errors import InvalidParameterError
from semrob_env.files import markdown_table
from semrob_env.plotting.natural import NaturalPanel, natural_figure
from semrob_env.scene.classifiers.base import Classifier
from semrob_env.scene.classifiers.natural_accuracy import (
    SOURCE,
    NaturalAccuracy,
    networks_with_natural_accuracy,
    published_natural_accuracy,
)
from semrob_env.scene.natural import BENCHMARKS, PhotoSet
from semrob_env.tables.natural import Figures, NaturalTable, read_srvr

NETWORKS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
"""Asked where there are photographs and nobody said which."""

TRIAL = 8
"""Photographs of a dry run."""


def run(options: NaturalAccuracyOptions, console: Console) -> None:
    if options.scene:
        raise InvalidParameterError("--scene is for rendered scenes; photographs here are as they are")
    srvr = read_srvr(options.srvr, options.method, options.regions) if options.srvr else None
    sets = [PhotoSet.read(text) for text in options.sources]
    if twice := next((own for own in sets if [one.benchmark for one in sets].count(own.benchmark) > 1), None):
        raise InvalidParameterError(f"{twice.benchmark.title} is given twice; one folder of each benchmark at a time")
    known = known_photos(sets, options.in_distribution)
    classifiers = load(options, sets, console)
    for photos in [*sets, *([known] if known else [])]:
        console.say(f"{photos.root}: {photos.words}")
    if options.dry_run:
        console.say(estimate(sets, known, classifiers))
        return
    bundle = Bundle(options.out, console)
    kept = KeptAnswers(bundle.folder / "answers.sqlite") if sets else None
    found = asked(sets, known, classifiers, kept, console)
    networks = names(options, srvr, classifiers)
    measured = [measured_figures(photos, found[photos.benchmark.name]) for photos in sets]
    told = {own.title for own in measured}
    own_weights = {spec.label for spec in options.specs() if spec.options.weights} if options.networks else set()
    named = {spec.label: spec.network for spec in options.specs()} if options.networks else {}
    public = {name: published_natural_accuracy(named.get(name, name)) for name in networks if name not in own_weights}
    published = [own for own in published_figures(public) if own.title not in told]
    table = NaturalTable(networks, srvr, (*measured, *published))
    report(table, found, public, bundle, console)
    bundle.close(*(["answers.sqlite"] if sets else []))


def known_photos(sets: Sequence[PhotoSet], folder: str) -> PhotoSet | None:
    """The photographs of known classes that those of an anomaly benchmark stand beside."""
    strange = next((own for own in sets if own.benchmark.is_anomaly), None)
    if strange is None:
        if folder:
            raise InvalidParameterError("--in-distribution is for ImageNet-O; give its folder as well")
        return None
    if not folder:
        raise InvalidParameterError(
            f"{strange.root}: AUPR needs photographs of known classes as well; give --in-distribution FOLDER"
        )
    every = PhotoSet.read(folder if "=" in folder else f"val={folder}")
    alike = every.only(frozenset(strange.labels))
    return alike if len(alike) else every


def load(options: NaturalAccuracyOptions, sets: Sequence[PhotoSet], console: Console) -> dict[str, Classifier]:
    """The networks by label, if there is anything to ask them."""
    if not sets:
        return {}
    from dataclasses import replace

    specs = (options if options.networks else replace(options, networks=NETWORKS)).specs()
    found = {}
    for spec in specs:
        classifier = spec.load(unnormalized=options.unnormalized)
        check_network(classifier)
        tell(console, spec.label, classifier)
        own = classifier.preprocessing
        console.say(f"    photographs: shorter side {own.photo_side}, {own.interpolation}; middle {own.size} cut out")
        found[spec.label] = classifier
    return found


def names(
    options: NaturalAccuracyOptions, srvr: Figures | None, classifiers: Mapping[str, Classifier]
) -> tuple[str, ...]:
    """Networks to show: those that were asked, else those of --networks, of --srvr, or all that are known."""
    if classifiers:
        return tuple(classifiers)
    if options.networks:
        return tuple(spec.label for spec in options.specs())
    return tuple(srvr.by_network) if srvr else networks_with_natural_accuracy()


def estimate(sets: Sequence[PhotoSet], known: PhotoSet | None, classifiers: Mapping[str, Classifier]) -> str:
    every = [*sets, *([known] if known else [])]
    if not every:
        return "nothing to ask: no folder of photographs"
    few = PhotoSet(
        every[0].benchmark,
        every[0].root,
        every[0].photos[:TRIAL],
        every[0].labels[:TRIAL],
        every[0].candidates,
    )
    seconds = sum(seconds_of(partial(photo_answers, own, few)) / len(few) for own in classifiers.values())
    count = sum(map(len, every))
    return f"{count:,} photographs x {len(classifiers)} networks, estimated time: {count * seconds / 60:.1f} minutes"


def asked(
    sets: Sequence[PhotoSet],
    known: PhotoSet | None,
    classifiers: Mapping[str, Classifier],
    kept: KeptAnswers | None,
    console: Console,
) -> dict[str, dict[str, tuple[Figure, tuple[PhotoAnswers, ...]]]]:
    """By benchmark and network: the figure, and the answers behind it."""
    found: dict[str, dict[str, tuple[Figure, tuple[PhotoAnswers, ...]]]] = {own.benchmark.name: {} for own in sets}
    with progress_bar(console, "photographs") as progress:
        total = sum(len(own) for own in (*sets, known) if own)
        bars: dict[str, TaskID] = {label: progress.add_task(label, total=total) for label in classifiers}
        for label, classifier in classifiers.items():
            step = partial(advance, progress, bars[label])
            usual = photo_answers(classifier, known, kept, step) if known else None
            for photos in sets:
                answers = photo_answers(classifier, photos, kept, step)
                if photos.benchmark.is_anomaly:
                    assert usual is not None
                    found[photos.benchmark.name][label] = anomaly_of(answers, usual), (answers, usual)
                else:
                    found[photos.benchmark.name][label] = accuracy_of(answers), (answers,)
    return found


def advance(progress: Progress, bar: TaskID, count: int) -> None:
    progress.advance(bar, count)


def measured_figures(photos: PhotoSet, found: Mapping[str, tuple[Figure, tuple[PhotoAnswers, ...]]]) -> Figures:
    words = [f"{photos.words}, measured here"]
    figure, behind = next(iter(found.values()))
    if photos.benchmark.is_anomaly:
        words.append(
            f"doubt is 1 less the highest probability of all classes; beside {len(behind[1].photos):,} photographs of "
            f"{len(set(behind[1].photos.labels))} known classes; by chance {100 * figure.chance:.1f} %"
        )
    else:
        words.append(f"by chance {100 * figure.chance:.2g} %")
    if len(photos) != photos.benchmark.photos:
        words.append("not all of the benchmark, so no figure to hold against published ones")
    unread = max(sum(len(own.unread) for own in answers) for _, answers in found.values())
    if unread:
        first = next(own.unread[0] for _, answers in found.values() for own in answers if own.unread)
        words.append(f"{unread} of {len(photos)} photographs cannot be read and are left out; the first: {first}")
    return Figures(
        photos.benchmark.title,
        {label: (own.estimate, own.low, own.high) for label, (own, _) in found.items()},
        True,
        "; ".join(words),
    )


def published_figures(public: Mapping[str, NaturalAccuracy | None]) -> list[Figures]:
    """What is published of the networks, one entry a benchmark of which something is."""
    found = []
    for name, benchmark in BENCHMARKS.items():
        own = {label: one for label, one in public.items() if one is not None and name in one.figures}
        if own:
            figures = {label: (one.figures[name] / 100, float("nan"), float("nan")) for label, one in own.items()}
            ways = "200-way" if benchmark.listed else "1000-way"
            found.append(Figures(benchmark.title, figures, False, f"{benchmark.title}: published, top-1, {ways}"))
    return found


def report(
    table: NaturalTable,
    found: Mapping[str, Mapping[str, tuple[Figure, tuple[PhotoAnswers, ...]]]],
    public: Mapping[str, NaturalAccuracy | None],
    bundle: Bundle,
    console: Console,
) -> None:
    notes = table.notes()
    if any(not own.is_measured for own in table.benchmarks):
        notes.append(f"published: {SOURCE}, there by the names of natural.csv; photographs prepared as timm has it")
    if any(own.title == "ImageNet-A" for own in table.benchmarks):
        notes.append("ImageNet-A was chosen by the errors of torchvision's ResNet-50, which has no fair figure there")
    body = "\n\n".join([
        "# Accuracy on natural photographs",
        markdown_table(table.shown()),
        "\n".join(f"- {note}" for note in notes),
    ])
    bundle.text("natural.md", body)
    bundle.rows("natural.csv", csv_rows(table, found, public))
    panels = [
        NaturalPanel(
            own.title + ("" if own.is_measured else ", published"),
            f"{'AUPR' if own.title == BENCHMARKS['o'].title else 'top-1 accuracy'} (%)",
            f"tau {agreement.tau:+.2f}, p {agreement.p:.2g}, n = {agreement.count}"
            if agreement.can_show
            else f"n = {agreement.count}: too few for ranks",
            tuple(
                (table.networks.index(name), own.by_network[name], table.srvr.by_network[name])
                for name in table.common(own)
            ),
            own.is_measured,
        )
        for own, agreement in table.agreements()
        if table.srvr and agreement.count
    ]
    if panels and table.srvr:
        title = "SRVR and accuracy on natural photographs; bars: 95 % intervals"
        bundle.figure("natural.png", natural_figure(panels, table.networks, title=title, srvr="SRVR (%)"))
    else:
        (bundle.folder / "natural.png").unlink(missing_ok=True)  # an older one must not stay
    console.say(body)


def csv_rows(
    table: NaturalTable,
    found: Mapping[str, Mapping[str, tuple[Figure, tuple[PhotoAnswers, ...]]]],
    public: Mapping[str, NaturalAccuracy | None],
) -> list[dict[str, object]]:
    """A line a network and benchmark, with full precision; shares."""
    rows: list[dict[str, object]] = []
    by_title = {own.title: own for own in BENCHMARKS.values()}
    for own in table.benchmarks:
        benchmark = by_title[own.title]
        for network, (estimate, low, high) in own.by_network.items():
            figure = found[benchmark.name][network][0] if own.is_measured else None
            source = public.get(network)
            share = table.srvr.by_network.get(network) if table.srvr else None
            rows.append({
                "network": network,
                "benchmark": benchmark.name,
                "figure": "aupr" if benchmark.is_anomaly else "top1",
                "ways": "" if benchmark.is_anomaly else 200 if benchmark.listed else 1000,
                "estimate": estimate,
                "low": low,
                "high": high,
                "photos": figure.photos if figure else "",
                "right": "" if figure is None or figure.right is None else figure.right,
                "source": "measured" if own.is_measured or source is None else f"{SOURCE} {source.row}",
                "srvr": "" if share is None else share[0],
                "srvr_low": "" if share is None else share[1],
                "srvr_high": "" if share is None else share[2],
            })
    return rows
