#!/bin/sh
# Starts those of the given units that have not installed their secrets because systemd deleted a job.
#
#   check-secrets SYSTEMCTL --system|--user [--retry] UNIT...
#
# systemd breaks an ordering cycle by deleting one of its jobs, and only logs that: no unit fails. This script runs after the target that
# closed the cycle. It starts an installer that has never run. It starts a failed installer again, together with every unit before it that
# has never run, because such a unit probably fetches the key. It also starts the target that services wait for. After `--retry`, it starts
# a failed installer again for any reason: the installer may have run before its key was mounted.
set -eu

systemctl=$1 manager=$2
shift 2
journal=journalctl
if [ "$manager" = --user ]; then journal='journalctl --user'; fi

property() { "$systemctl" "$manager" show --property="$1" --value -- "$2"; }

# systemd checks a unit's conditions whenever it runs a job of the unit.
never_ran() {
  [ "$(property LoadState "$1")" = loaded ] && [ "$(property ActiveState "$1")" = inactive ] &&
    [ "$(property ConditionTimestampMonotonic "$1")" = 0 ] && [ -z "$(property Job "$1")" ]
}

# Whether another unit wants or requires the unit.
is_wanted() {
  for dependency in WantedBy RequiredBy UpheldBy BoundBy; do
    if [ -n "$(property "$dependency" "$1")" ]; then return 0; fi
  done
  return 1
}

# Whether a failed unit that this one requires prevents its start. The failed unit logs the reason. Units may require one another, so
# `visited` has those that were asked already.
is_blocked() {
  for required in $(property Requires "$1") $(property BindsTo "$1"); do
    case " $visited " in *" $required "*) continue ;; esac
    visited="$visited $required"
    if [ "$(property ActiveState "$required")" = failed ] || { never_ran "$required" && is_blocked "$required"; }; then return 0; fi
  done
  return 1
}

# missing UNIT: adds to `units` the units before UNIT that have never run or that failed, recursively; and to `order` these and UNIT,
# sorted by start order. systemctl queues the jobs one after the other, and a job waits only for jobs that were queued before it.
missing() {
  for before in $(property After "$1"); do
    case " $units " in *" $before "*) continue ;; esac
    case $before in *.target | *.mount | *.device | *.slice) continue ;; esac
    if { never_ran "$before" && is_wanted "$before"; } || [ "$(property ActiveState "$before")" = failed ]; then
      units="$units $before"
      if never_ran "$before"; then deleted="$deleted $before"; fi
      missing "$before"
    fi
  done
  order="$order $1"
}

# <4> is the log priority: warning.
warn() { printf '<4>%s\n' "$*" >&2; }

status=0 retry='' started=''
for unit; do
  if [ "$unit" = --retry ]; then
    retry=yes
    continue
  fi
  units=$unit order='' deleted='' visited=$unit
  missing "$unit"
  if never_ran "$unit"; then
    if ! is_blocked "$unit"; then deleted=" $unit$deleted"; fi
  elif [ "$(property ActiveState "$unit")" != failed ]; then
    retry=
    continue
  fi
  if [ -n "$started" ] && [ "$unit" = sops-secrets.target ]; then
    # It waits for what was started here.
    :
  elif [ -n "$deleted" ]; then
    warn "systemd has not run:$deleted. Units are ordered in a cycle: \`$journal --boot --grep='ordering cycle'\` names them."
  elif [ -n "$retry" ]; then
    warn "$unit failed before all file systems were mounted."
  else
    continue
  fi
  retry=
  if [ -z "$started" ]; then warn "Services that have started already may lack their secrets."; fi
  started="$started $units"
  # Names of units contain no spaces.
  # shellcheck disable=SC2086
  if ! "$systemctl" "$manager" start -- $order; then
    status=1
  elif [ "$unit" = sops-install-secrets-for-users.service ] && [ "$(property LoadState userborn.service)" = loaded ]; then
    # It has made the users without their passwords.
    "$systemctl" "$manager" try-restart userborn.service || status=1
  fi
done
exit "$status"
