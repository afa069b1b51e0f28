#!/bin/sh
# The first argument names what runs in this container; it replaces the shell, so signals reach it.
set -eu
role="${1:-}"
[ "$#" -gt 0 ] && shift

case "$role" in
  gateway | scheduler | health-monitor)
    # Every container has process id 1 or so: its host name tells replicas apart in logs, metrics and status.
    export EVENKEEL_NAME="${EVENKEEL_NAME:-$role-$(hostname)}"
    exec node "services/$role/main.ts" "$@"
    ;;
  demo-backend) exec node libs/cli/demo/backend.ts "$@" ;;
  evenkeel) exec node libs/cli/bin/evenkeel.js "$@" ;;
  *)
    echo "usage: gateway | scheduler | health-monitor | demo-backend | evenkeel COMMAND, got \"$role\"" >&2
    exit 64
    ;;
esac
