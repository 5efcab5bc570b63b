#!/usr/bin/env bash
# A small real Slurm on this host for the tests: munged, slurmctld and two slurmd, no systemd, all on loopback.
#   slurm_lab.sh up FOLDER      start it; then: . FOLDER/env
#   slurm_lab.sh down FOLDER    cancel its jobs and stop it, by process id
# Needs munge, slurmctld, slurmd, slurm-client (the names of Debian's packages).
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin
verb=${1:?up or down}
root=${2:?a folder}
num_nodes=2

alive() { [ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }

free_ports() { # $1 different free ports
  python3 - "$1" <<'PYTHON'
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for each in held:
    each.bind(("127.0.0.1", 0))
print(*(each.getsockname()[1] for each in held))
PYTHON
}

write_conf() {
  local host me ports memory
  host=$(hostname -s)
  me=$(id -un)
  read -r -a ports <<<"$(free_ports $((num_nodes + 1)))"
  memory=$(($(awk '/MemTotal/{print int($2 / 1024)}' /proc/meminfo) * 8 / 10 / num_nodes))
  # cred_expire and requeue_delay: else a requeued job waits two minutes.
  # NoInAddrAny: else the daemons listen on every address of the host.
  cat >"$root/slurm.conf" <<CONF
ClusterName=lab
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmUser=$me
SlurmdUser=$me
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$root/munge/socket,cred_expire=5
StateSaveLocation=$root/state
SlurmdSpoolDir=$root/run/%n
SlurmctldPidFile=$root/run/slurmctld.pid
SlurmdPidFile=$root/run/slurmd-%n.pid
SlurmctldLogFile=$root/log/slurmctld.log
SlurmdLogFile=$root/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=1,bf_interval=1,requeue_delay=1
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
DependencyParameters=kill_invalid_depend
MpiDefault=none
ReturnToService=2
JobRequeue=1
KillWait=5
MinJobAge=3600
MailProg=/bin/true
PartitionName=lab Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
CONF
  local cpus
  cpus=$(env -u OMP_NUM_THREADS nproc) # nproc alone takes that variable for the cores there are
  for i in $(seq "$num_nodes"); do
    echo "NodeName=n$i NodeHostname=$host NodeAddr=127.0.0.1 Port=${ports[i]} CPUs=$cpus RealMemory=$memory" \
      >>"$root/slurm.conf"
  done
}

up() {
  mkdir -p "$root"
  root=$(cd "$root" && pwd -P)
  mkdir -p "$root"/{state,log,run,munge}
  for i in $(seq "$num_nodes"); do mkdir -p "$root/run/n$i"; done
  [ -s "$root/slurm.conf" ] || write_conf
  export SLURM_CONF=$root/slurm.conf
  printf 'export SLURM_CONF=%q\n' "$SLURM_CONF" >"$root/env"
  (umask 077 && [ -s "$root/munge/key" ] || head -c 128 /dev/urandom >"$root/munge/key")
  chmod 0600 "$root/munge/key"
  chmod 0711 "$root/munge"
  alive "$root/munge/pid" || munged --force --socket="$root/munge/socket" --key-file="$root/munge/key" \
    --pid-file="$root/munge/pid" --seed-file="$root/munge/seed" --log-file="$root/munge/log"
  alive "$root/run/slurmctld.pid" || slurmctld -f "$SLURM_CONF"
  for i in $(seq "$num_nodes"); do
    alive "$root/run/slurmd-n$i.pid" || slurmd -N "n$i" -f "$SLURM_CONF"
  done
  for _ in $(seq 200); do
    [ "$(timeout 10 sinfo -h -N -t idle -o %N 2>/dev/null | sort -u | wc -l)" = "$num_nodes" ] && return
    sleep 0.1
  done
  echo "slurm_lab: the nodes did not come up; see $root/log" >&2
  exit 1
}

stop() { # the process of a pid file, gently, then not
  alive "$1" || return 0
  local pid
  pid=$(cat "$1")
  kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.1; done
  kill -9 "$pid" 2>/dev/null || true
}

down() {
  [ -f "$root/slurm.conf" ] || return 0
  export SLURM_CONF=$root/slurm.conf
  if alive "$root/run/slurmctld.pid"; then
    timeout 10 scancel --full --signal=KILL --user="$(id -un)" 2>/dev/null || true
    timeout 10 scancel --user="$(id -un)" 2>/dev/null || true
    for _ in $(seq 50); do
      [ -z "$(timeout 10 squeue -h 2>/dev/null)" ] && break
      sleep 0.1
    done
  fi
  for file in "$root"/run/slurmd-*.pid "$root/run/slurmctld.pid" "$root/munge/pid"; do stop "$file"; done
}

case $verb in
  up) up ;;
  down) down ;;
  *) echo "slurm_lab: up or down, got $verb" >&2; exit 2 ;;
esac
