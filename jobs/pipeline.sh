#!/usr/bin/env bash
# The whole pipeline unattended: set-up, dvc repro, delivery of late tracking. From cron, Slurm
# or a container; run from anywhere.
#
# Exit codes: 0 done; 2 set-up or input needs mending; 75 stopped on request, state saved, run it again;
# anything else is what dvc said.
#
# SIGTERM and SIGUSR1 ask for a stop: the training stage in progress saves and ends within a step. What has
# not ended after SEEDBED_GRACE_SECONDS (default 100) is terminated; finished stages stay finished.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
export PATH="$PWD/.venv/bin:$PATH" DVC_NO_ANALYTICS=1 DO_NOT_TRACK=1
unset PYTHONDONTWRITEBYTECODE # else every stage compiles its imports anew
grace=${SEEDBED_GRACE_SECONDS:-100}

say() { echo "pipeline: $*"; }

descendants() { # every process below $1
  local child
  for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do
    echo "$child"
    descendants "$child"
  done
}

tell() { # a signal to everything below the pipeline's process; some may have ended since the look
  local process
  for process in $(descendants "$2") "$2"; do kill -s "$1" "$process" 2>/dev/null; done
}

stopping=
pid=
waker=
stop() {
  [ -z "$stopping" ] || return
  stopping=1
  [ -n "$pid" ] || return
  say "asked to stop; the stage in progress saves its state"
  tell USR1 "$pid"
  # a stage that does not train takes no USR1: it is ended in time, and starts anew next time
  (sleep "$grace"; tell TERM "$pid") &
  waker=$!
}

trap stop TERM USR1
make setup || exit 2
[ -z "$stopping" ] || { say "asked to stop before anything ran"; exit 75; }

# dvc and the shells between take no USR1, and pass that on; the training process sets its own handler.
# (GNU make would give its children the default action back, which is why dvc is started directly.)
(trap '' USR1; exec dvc repro) &
pid=$!
while true; do
  wait "$pid"
  code=$?
  kill -0 "$pid" 2>/dev/null || break # else a signal interrupted the wait
done
trap '' TERM USR1
[ -z "$waker" ] || { tell TERM "$waker"; wait "$waker" 2>/dev/null; }

# numbers that could not reach the tracking server earlier; a server still away is no fault of the pipeline
seedbed deliver || say "tracking is still away; the journals keep its numbers"

if [ "$code" -eq 0 ]; then
  say "done; the report is $PWD/reports/report.html"
elif [ -n "$stopping" ]; then
  code=75
  say "stopped before the end; run it again to continue"
else
  say "failed: dvc repro ended with $code, its last lines above say where"
fi
exit "$code"
