#!/bin/sh
# Make a new age key in the file $1, unless there is one already.
#
# A power cut at any moment leaves either no key or the whole key: it is written and synchronised under another name before it gets
# its own. An empty file, which a power cut leaves behind where that was not done, is replaced; a file with anything in it never is.
#
# Needs age-keygen and the coreutils in PATH.
set -eu

if [ "$#" -ne 1 ] || [ -z "$1" ]; then
  echo "usage: generate-age-key FILE" >&2
  exit 2
fi

if [ -e "$1" ] && [ ! -f "$1" ]; then
  echo "cannot generate an age key: '$1' is not a regular file" >&2
  exit 1
fi
if [ -s "$1" ]; then
  exit 0
fi
if [ "${NIXOS_ACTION:-}" = dry-activate ]; then
  echo "would generate an age key in '$1'" >&2
  exit 0
fi

# Where the name is a link, the key belongs to where it leads (a disk that is kept, most likely), and the link stays.
key=$(realpath -m -- "$1")
directory=$(dirname -- "$key")
new=$key.new

# The directories that mkdir is about to make have to outlive a power cut too: each is an entry in the one above it.
to_sync=$directory
above=$directory
while [ ! -e "$above" ]; do
  above=$(dirname -- "$above")
  to_sync="$to_sync
$above"
done

echo "generating machine-specific age key..."
mkdir -p -- "$directory"
# What an interrupted run left: a key that nobody ever used. age-keygen makes the file with mode 0600 and refuses one that exists.
rm -f -- "$new"
trap 'rm -f -- "$new"' EXIT
age-keygen -o "$new"
sync -- "$new"
mv -f -T -- "$new" "$key"
printf '%s\n' "$to_sync" | while IFS= read -r changed; do
  sync -- "$changed"
done
