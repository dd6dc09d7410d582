r"""The run store: a task of plain data in, one flat row per run and its trace out. Tables and plots read only this.

A store is one SQLite file (application id `APPLICATION_ID`, user version `STORE_VERSION`). Bounds and points are JSON
lists in the order of the function's space, numbers are float64 and come back bit for bit, text is UTF-8. What UTF-8
lacks (lone surrogates, which stand for bytes of file names) and null bytes are escaped: in `error` as `\udcff` and
`\x00`, for good; in `function_id` and `method` as `\udcff` and `\u0000`, and a backslash that could be taken for the
start of such an escape as `\u005c`, so that a name is read back as it was given.

Table `runs`, one row per run. What defines it, all of it in the key:

| column            | type    | meaning                                                                                |
|-------------------|---------|----------------------------------------------------------------------------------------|
| key               | TEXT    | primary key: SHA-256 (hex) of the canonical JSON of all columns of this first part     |
| function_id       | TEXT    | id of the one member asked, as `make_function` reads it                                |
| method            | TEXT    | registered name of the method                                                          |
| method_version    | INTEGER | version of the method's code; rows of different versions are never mixed               |
| settings          | TEXT    | all hyper-parameters, canonical JSON object                                            |
| start             | TEXT    | start point, JSON list in native units                                                 |
| budget            | REAL    | most that the run may spend, forward + gradient_cost * gradients; NULL: no cap         |
| gradient_cost     | REAL    | weight of a gradient query against the budget                                          |
| finite_difference | TEXT    | NULL: own gradients; else JSON list of half distances, `[]`: the oracle's default      |
| max_steps         | INTEGER | step limit; NULL: none                                                                 |
| seed              | INTEGER | seed of the task                                                                       |
| epsilon_m         | REAL    | feasible needs mean >= 1 - epsilon_m (method section 2)                                |
| epsilon_v         | REAL    | feasible needs variance <= epsilon_v                                                   |
| judge_points      | INTEGER | held-out points that the judge asks in the region                                      |
| judge_seed        | INTEGER | seed of these points                                                                   |
| fingerprint       | TEXT    | canonical JSON object: hashes of weights, mesh or map; versions, picture size, ...     |

What came out (NULL where there is nothing: a failed run has no region). Scores are the judge's: mapped to [0, 1] by the
function's score range.

| column            | type    | meaning                                                                                |
|-------------------|---------|----------------------------------------------------------------------------------------|
| space             | TEXT    | JSON list, per parameter [name, unit, low, high, period or null]                       |
| status            | TEXT    | converged, budget, steps: how the run ended; failed: it raised, see `error`            |
| error             | TEXT    | class and message of the error; empty if none                                          |
| lower             | TEXT    | final region, lower bounds, JSON list, canonical form, cut to the space                |
| upper             | TEXT    | final region, upper bounds; above `high` where a region crosses the seam               |
| share             | REAL    | volume of the region over volume of the space                                          |
| feasible          | INTEGER | 1 if mean and variance meet both thresholds exactly, else 0                            |
| mean              | REAL    | mean score in the region: exact where it is known, else by the judge's points          |
| variance          | REAL    | variance of the score in the region                                                    |
| purity            | REAL    | share of the region with a score >= 0.5                                                |
| quantile_05       | REAL    | 5 % quantile of the score in the region                                                |
| minimum           | REAL    | lowest score that the judge saw                                                        |
| judge_queries     | INTEGER | forward queries of the judge, never charged to the method                              |
| forward_queries   | INTEGER | forward queries charged to the method                                                  |
| gradient_queries  | INTEGER | gradient queries charged to the method                                                 |
| steps             | INTEGER | steps told                                                                             |
| seconds           | REAL    | share of the wall time of the batch it ran in; not reproducible                        |
| revision          | TEXT    | git revision or package version that ran it                                            |
| created           | TEXT    | when the row was made, UTC, ISO 8601                                                   |

Table `traces`, the recommended region at fixed checkpoints, primary key (key, queries):

| column            | type    | meaning                                                                                |
|-------------------|---------|----------------------------------------------------------------------------------------|
| key               | TEXT    | key of the run                                                                         |
| queries           | INTEGER | checkpoint: the region after the last step whose bill is within it                     |
| lower             | TEXT    | lower bounds, as in `runs`                                                             |
| upper             | TEXT    | upper bounds, as in `runs`                                                             |

A run and its trace are written in one transaction. A process killed at any moment leaves whole runs only, and a
repeated command goes on with those that are missing.
"""

from semrob_env.store.database import APPLICATION_ID as APPLICATION_ID
from semrob_env.store.database import STORE_VERSION as STORE_VERSION
from semrob_env.store.database import RunStore as RunStore
from semrob_env.store.rows import FAILED as FAILED
from semrob_env.store.rows import RunRow as RunRow
from semrob_env.store.rows import TraceRow as TraceRow
from semrob_env.store.rows import package_revision as package_revision
from semrob_env.store.task import RunTask as RunTask
from semrob_env.store.task import canonical_json as canonical_json
from semrob_env.store.task import task_generator as task_generator
