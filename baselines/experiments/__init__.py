"""Comparing methods by counted queries: suites of questions, frozen protocols, exact judging, statistics, tables.

The one place where tasks become rows. A *question* (`semrob_env.questions`) is a function, a start point theta0 and a
goal: which region around theta0 is the largest one that meets it? An *entry* is a method with settings. A *plan* is an
entry with a budget that its runs may not overspend; every entry has a plan for every budget, and every plan runs on
every question, with every seed if the method draws anything.

A method that does not use the goal (its trait `uses_goal`) runs once for all goals. One that does not plan by its
budget (`plans_by_budget`) does not care which: its runs with a smaller budget begin like those with a larger one.

**Protocol file**: JSON, one object, all that makes a comparison again. Its digest, the SHA-256 of its canonical JSON,
stands in every output.

| name               | meaning                                                                                        |
|--------------------|------------------------------------------------------------------------------------------------|
| format, version    | `semrob comparison`, and the version of this format                                            |
| suite              | name of the suite                                                                              |
| options            | object: which functions of the suite                                                           |
| goals              | list of goals as text, see `semrob_env.questions`                                              |
| entries            | list of {label, method, method_version, settings}; settings in full                           |
| budgets            | whole numbers, rising                                                                          |
| seeds              | whole numbers                                                                                  |
| gradient_cost      | weight of a gradient query in every bill                                                       |
| judge              | {points, seed, certificate_points, confidence}: points a region, for what is not known exactly |
|                    | map_step, only where maps of live functions judge: degrees between their lines                 |
| targets            | shares of the optimum, rising                                                                  |
| bootstrap          | {resamples, level, seed}                                                                       |
| questions          | {count, sha256}: of all questions with the fingerprints (hashes of maps, weights) of functions |

**Results**, beside `runs.sqlite` (`semrob_env.store`) and `answers.sqlite` (`baselines.experiments.answers`), as CSV.
Both begin with `protocol` (the digest), `goal`, `label`. Empty: not known, or no such thing.

`runs.csv`, a line for every run and question that it answers:

| column                  | meaning                                                                                   |
|-------------------------|-------------------------------------------------------------------------------------------|
| budget, seed            | of the run                                                                                |
| function_id, start      | of the question                                                                           |
| group                   | what intervals resample: its shape, or synthetic function                                 |
| status                  | how the run ended, see the store                                                          |
| queries                 | its bill, forward + gradient_cost * gradients                                             |
| sharers                 | start points that its samples serve: its amortized bill is queries / sharers              |
| feasible                | 1 if the final region contains theta0 and meets the goal                                  |
| certified               | 1 if it does, and surely: by the truth, or else by independent points of the function     |
| share                   | of the space that the final region has                                                    |
| goal_mean, purity       | mean of what the goal counts in it; its share with a score >= 0.5                         |
| best                    | share of the optimum; of the largest feasible region seen here if `best_is_exact` is 0    |
| trivial                 | 1 if that is the whole space                                                              |
| quality                 | share / best, 0 if infeasible (not clipped); regret is 1 - quality                        |
| reached_P               | queries at the first checkpoint with a quality of P % or more; inf: never                 |
| held_P                  | the same, from which on all of them have it, to the end of the run                        |

`comparison.csv`, a line for every plan, `part` (`open`; `trivial` for the questions that the whole space answers) and
`n` (number of parameters; `all`, and each where there are several): `budget`, `runs`, `median_quality`, `feasible`,
`certified`, `purity` (mean), `regret` (mean), `queries` (median bill), `amortized_queries` (mean amortized bill),
`rank` (mean among the entries at this budget, 1 is best), and for every target P `ert_P` and `amortized_ert_P` (medians
over questions of the ERT of each until the target was held), `first_P` (until it was first reached) and `final_P`
(share of runs whose final region reaches it). `X_low` and `X_high` are the ends of the interval of X. What an ERT is:
`baselines.experiments.statistics`.

**Per start point and amortized.** What a method asks may not depend on the start point (its trait `shares_samples`,
which `optimizers.check` proves): then one set of samples serves all start points that are asked about at the same
function and goal. *Amortized* figures share its bill, and the times at which it reaches targets, among them: a
set of samples that is four times as large costs each of four start points as much. Those of other methods are their
figures per start point, and these decide in any case.
"""
