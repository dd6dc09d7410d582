"""How good an answer is: feasibility of regions on held-out points, and SRVR with intervals."""

from semrob_env.metrics.judge import Judgement as Judgement
from semrob_env.metrics.judge import Thresholds as Thresholds
from semrob_env.metrics.judge import judge_regions as judge_regions
from semrob_env.metrics.srvr import Difference as Difference
from semrob_env.metrics.srvr import SrvrLine as SrvrLine
from semrob_env.metrics.srvr import SrvrRecord as SrvrRecord
from semrob_env.metrics.srvr import paired_difference as paired_difference
from semrob_env.metrics.srvr import srvr_lines as srvr_lines
