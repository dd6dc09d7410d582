r"""The run store: a task of plain data in, one flat row per run and its trace out. Tables and plots read only this.

A store is one SQLite file (application id `APPLICATION_ID`, user version `STORE_VERSION`). Bounds and points are JSON
lists in the order of the function's space, numbers are float64 and come back bit for bit, text is UTF-8. What UTF-8
lacks (lone surrogates, which stand for bytes of file names) and null bytes are escaped: in `error` as `\udcff` and
`\x00`, for good; in names as `\udcff` and `\u0000`, and a backslash that could be taken for the
start of such an escape as `\u005c`, so that a name is read back as it was given.

Table `runs`, one row per run. Its columns are the fields of `Question`, `RunTask` and `RunRow` (the measures of
`semrob_env.metrics.measures` among them), which say what each means: REAL for numbers, NULL where there is none,
INTEGER for counts and flags, TEXT for words, goals (`mean=0.5`) and JSON lists (starts, bounds). `key` is the primary
key: SHA-256 (hex) of the canonical JSON of question, task, `fingerprint` and `method_version`.

Table `traces`, the recommended region at fixed checkpoints, primary key (key, queries): `key` of the run; `queries`,
the checkpoint (the region after the last step whose bill is within it); `lower` and `upper` bounds as in `runs`.

`checksum` (64 bits, hex) is over all columns of a row before it as SQLite gives them back, in their order;
`summary_checksum`, over those that `RunStore.summaries` reads; `trace_checksum`, over those of its trace. A row or
trace that differs from its checksum, by flipped bits or by hand, is told and never used; a row that was deleted runs
again.

A run and its trace are written in one transaction. A process killed at any moment leaves whole runs only, and a
repeated command goes on with those that are missing.
"""

from semrob_env.store.database import APPLICATION_ID as APPLICATION_ID
from semrob_env.store.database import STORE_VERSION as STORE_VERSION
from semrob_env.store.database import RunStore as RunStore
from semrob_env.store.rows import BUDGET as BUDGET
from semrob_env.store.rows import FAILED as FAILED
from semrob_env.store.rows import JUDGE as JUDGE
from semrob_env.store.rows import UNPAID as UNPAID
from semrob_env.store.rows import RunRow as RunRow
from semrob_env.store.rows import RunTask as RunTask
from semrob_env.store.rows import TraceRow as TraceRow
from semrob_env.store.rows import canonical_json as canonical_json
from semrob_env.store.rows import package_revision as package_revision
from semrob_env.store.rows import task_generator as task_generator
from semrob_env.store.sqlite_file import SqliteFile as SqliteFile
from semrob_env.store.sqlite_file import checksum as checksum
from semrob_env.store.summary import Coded as Coded
from semrob_env.store.summary import RunSummaries as RunSummaries
