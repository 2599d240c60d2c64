#!/bin/sh
# Start each of the given units that should have installed secrets by now and did not, because systemd deleted a job.
#
#   check-secrets SYSTEMCTL --system|--user [--retry] UNIT...
#
# Where units are ordered in a cycle, systemd deletes one job of it, logs that, and goes on: no unit fails. This runs when the cycle is
# over, after the target that closed it. An installer that has never run is started. One that failed is started once more if a unit
# that comes before it has never run, together with that unit: most likely it was to bring the key. The target that services wait for is
# started as well. A unit after `--retry` is started once more if it failed for any reason: it may have run before its key was mounted.
set -eu

systemctl=$1 manager=$2
shift 2
journal=journalctl
if [ "$manager" = --user ]; then journal='journalctl --user'; fi

property() { "$systemctl" "$manager" show --property="$1" --value -- "$2"; }

# systemd looks at a unit's conditions whenever a job of the unit is run.
never_ran() {
  [ "$(property LoadState "$1")" = loaded ] && [ "$(property ActiveState "$1")" = inactive ] &&
    [ "$(property ConditionTimestampMonotonic "$1")" = 0 ] && [ -z "$(property Job "$1")" ]
}

# Whether something asks for the unit to be started.
is_wanted() {
  for dependency in WantedBy RequiredBy UpheldBy BoundBy; do
    if [ -n "$(property "$dependency" "$1")" ]; then return 0; fi
  done
  return 1
}

# Whether the unit could not run for a unit that it requires. That one has failed, and says why.
is_blocked() {
  for required in $(property Requires "$1") $(property BindsTo "$1"); do
    if [ "$(property ActiveState "$required")" = failed ] || { never_ran "$required" && is_blocked "$required"; }; then return 0; fi
  done
  return 1
}

# missing UNIT: adds to `units` those before UNIT that have never run or that failed, and those before them; and to `order` all of
# these and UNIT, each behind those that come before it. systemctl asks for one after the other, and a unit waits only for jobs that are
# there when its own is.
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

# The number is the priority in the log.
warn() { printf '<4>%s\n' "$*" >&2; }

status=0 retry='' started=''
for unit; do
  if [ "$unit" = --retry ]; then
    retry=yes
    continue
  fi
  units=$unit order='' deleted=''
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
  # Names of units have no blanks.
  # shellcheck disable=SC2086
  if ! "$systemctl" "$manager" start -- $order; then
    status=1
  elif [ "$unit" = sops-install-secrets-for-users.service ] && [ "$(property LoadState userborn.service)" = loaded ]; then
    # It has made the users without their passwords.
    "$systemctl" "$manager" try-restart userborn.service || status=1
  fi
done
exit "$status"
