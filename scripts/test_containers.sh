#!/usr/bin/env bash
# The tests and suites that need a container engine. Where none answers, one is brought up for their time on Debian as
# root; elsewhere they are skipped, with the command to run. KEEP_ENGINE=1 leaves it standing.
set -uo pipefail
cd "$(dirname "$0")/.."
RESULTS=${RESULTS:-results}
engine=scripts/container_engine.sh

able() { [ "$(id -u)" = 0 ] && grep -q '^12' /etc/debian_version 2>/dev/null; }

if $engine status >/dev/null 2>&1 || able; then
    $engine status >/dev/null 2>&1 || [ -n "${KEEP_ENGINE:-}" ] || trap '$engine down' EXIT
    assignments=$($engine up) || exit 1
    eval "$assignments"
else
    echo "No container engine answers: these tests and suites skip. Start Docker or Podman or set DOCKER_HOST (on Debian"
    echo "12, as root: eval \"\$($engine up)\"), then run: make test-containers"
fi

status=0
.venv/bin/python -m pytest -m docker --junitxml "$RESULTS/pytest-containers/junit.xml" ${PYTEST_OPTIONS:-} || status=1
.venv/bin/robot --outputdir "$RESULTS/containers" --xunit xunit.xml --include docker \
    ${ROBOT_OPTIONS:-} robot/integration || status=1
exit $status
