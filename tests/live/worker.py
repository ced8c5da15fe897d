"""A process that verifies the token on each line of its input and writes the verdict as a line of JSON."""

import json
import sys

from tests.live.project import verdict

print("ready", flush=True)
for line in sys.stdin:
    print(json.dumps(verdict(line.strip())), flush=True)
