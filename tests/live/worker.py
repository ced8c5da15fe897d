"""A process that verifies the token on each line of its input and writes the verdict as a line of JSON."""

import json
import sys

from tests.live.project import verdict

sys.stdout.write("ready\n")
sys.stdout.flush()
for line in sys.stdin:
    sys.stdout.write(f"{json.dumps(verdict(line.strip()))}\n")
    sys.stdout.flush()
