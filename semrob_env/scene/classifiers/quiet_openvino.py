"""OpenVINO without its usage reports.

`import openvino` sends a report over the network, from a process that it forks off a thread: a program that works
offline must not do that, and a fork beside running thread pools may hang. Where the module `openvino_telemetry` cannot
be imported OpenVINO falls back to a stub of its own, so it is hidden during the first import.
"""

from __future__ import annotations

import sys
from typing import Any, cast

_hidden = "openvino_telemetry" not in sys.modules
if _hidden:
    cast(dict[str, Any], sys.modules)["openvino_telemetry"] = None
try:
    import openvino as openvino
    from openvino.frontend import FrontEndManager as FrontEndManager
finally:
    if _hidden:
        del sys.modules["openvino_telemetry"]
