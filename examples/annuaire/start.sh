#!/bin/sh
# Starts everything, and shows how far the mirror is: an Annuaire that is played, a FHIR server that is played, and Relais between.
set -eu
cd "$(dirname "$0")"
relais="${RELAIS:-$(command -v relais || true)}"
if [ -z "$relais" ]; then
    cargo build --release --manifest-path ../../Cargo.toml -p server
    relais="${CARGO_TARGET_DIR:-../../target}/release/relais"
fi
started=""
trap 'kill $started 2>/dev/null || true' EXIT
trap 'exit 0' INT TERM
"$relais" mock annuaire --practitioners "${PRACTITIONERS:-2000}" --listen 127.0.0.1:8602 --changes 5/30s &
started="$started $!"
"$relais" mock fhir --listen 127.0.0.1:8603 &
started="$started $!"
"$relais" run . &
started="$started $!"
until "$relais" sync list >/dev/null 2>&1; do sleep 1; done
while :; do
    "$relais" sync list
    sleep "${PAUSE:-5}"
done
