#!/bin/sh
# Loads one file of results into `loaded/`, as a script in PHP would into its database.
#   0   loaded; the answer lies in $RELAIS_ANSWER
#   3   the file is wrong: what is wrong stands on stderr
#   75  the database takes nothing now: tried again until it does
set -eu
mkdir -p loaded
if [ -e loaded/closed ]; then
    echo "the database is closed" >&2
    exit 75
fi
if ! awk -F '\t' '$2 !~ /^[0-9]+-[0-9]$/ { print "line " NR ": this is no LOINC code" > "/dev/stderr"; wrong = 1 } END { exit wrong }' "$1"; then
    exit 3
fi
# Under the delivery's own name: a second run for it loads nothing twice.
cp "$1" "loaded/.$RELAIS_EFFECT"
mv "loaded/.$RELAIS_EFFECT" "loaded/$RELAIS_EFFECT.tsv"
echo "$RELAIS_FILE_NAME: $(wc -l < "$1" | tr -d ' ') rows loaded" > "$RELAIS_ANSWER"
