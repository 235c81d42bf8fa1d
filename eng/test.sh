#!/usr/bin/env bash
# The test command for people and for CI: installs what the tests need and is missing, builds, tests, and ends with the true totals.
#   bash eng/test.sh [extra arguments for "dotnet test", such as --filter FullyQualifiedName~Hosting]
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
# The tests' own PostgreSQL ends with its process, which would be killed 100 ms after the last test.
export VSTEST_TESTHOST_SHUTDOWN_TIMEOUT=30000

say() { printf '== %s\n' "$*"; }

fail() {
  say "$1"
  echo "0 passed, 1 failed"
  exit 1
}

# Debian packages: Chromium for the browser tests, PostgreSQL for everything that stores. Both are optional where they cannot be
# installed: the browser tests skip themselves with a reason, and PostgreSQL can come from its npm package.
install_debian() {
  local missing=()
  { command -v chromium || command -v chromium-browser || command -v google-chrome; } > /dev/null 2>&1 || missing+=(chromium)
  { command -v postgres || ls /usr/lib/postgresql/*/bin/postgres; } > /dev/null 2>&1 || missing+=(postgresql)
  [ "${#missing[@]}" -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null 2>&1; then
    say "not installed, and cannot be from here: ${missing[*]}"
    return 0
  fi
  say "installing ${missing[*]}"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null \
    || say "apt-get could not install ${missing[*]}; the tests that need them will say so"
}

# The published JavaScript exporters that the client tests drive.
install_clients() {
  local clients=MatsObservability.Tests/EndToEnd/Clients
  [ -f "$clients/package-lock.json" ] || return 0
  command -v npm > /dev/null 2>&1 || { say "npm is missing; the client tests will say so"; return 0; }
  say "npm ci in $clients"
  (cd "$clients" && npm ci --no-audit --no-fund --silent) || say "npm ci failed; the client tests will say so"
}

install_debian
install_clients

say "building"
dotnet build MatsObservability.sln -nologo -v q -clp:ErrorsOnly || fail "the build failed"

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
say "testing"
dotnet test MatsObservability.sln --no-build -nologo --logger "console;verbosity=minimal" --logger "trx;LogFilePrefix=run" \
  --results-directory "$results" --blame-hang-timeout 6m --blame-hang-dump-type none "$@"
status=$?

sum() { grep -ho "<Counters [^>]*" "$results"/*.trx 2> /dev/null | grep -o " $1=\"[0-9]*\"" | tr -dc '0-9\n' | awk '{s += $1} END {print s + 0}'; }
passed=$(sum passed)
failed=$(($(sum failed) + $(sum error) + $(sum timeout) + $(sum aborted)))
skipped=$(($(sum total) - passed - failed))
# A run that stops half-way (a crashed test host) is a failure even when every finished test passed.
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
  failed=1
fi
if [ "$passed" -eq 0 ] && [ "$failed" -eq 0 ]; then
  fail "no test ran"
fi

if [ "$skipped" -gt 0 ]; then
  grep -ho '<UnitTestResult [^>]*outcome="NotExecuted"[^>]*' "$results"/*.trx | sed -n 's/.*testName="\([^"]*\)".*/skipped: \1/p' | sort
  echo "$passed passed, $failed failed, $skipped skipped"
else
  echo "$passed passed, $failed failed"
fi

[ "$failed" -eq 0 ]
