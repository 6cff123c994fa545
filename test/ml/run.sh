#!/usr/bin/env bash
# The store's main users in machine learning, each with a complete small job against a real store on six empty drives.
# Prints the TAP of every job, then a line for each. The exit code is 0 only when all of them passed.
set -euo pipefail
cd "$(dirname "$0")/../.."

START_SECONDS=60
JOB_SECONDS=900
folder=$(mktemp --directory --tmpdir kintsugi-ml-XXXXXX)
store=
failed=0
results=()
trap stop EXIT

# Settings of the one who runs this are not part of it.
for name in $(compgen -e | grep -E '^(AWS|KINTSUGI|MLFLOW|S3)_'); do unset "$name"; done

start() {
  mkdir "$folder"/drive{1..6}
  touch "$folder/store.out"
  node bin/kintsugi.cjs serve "$folder"/drive{1..6} --port 0 --admin-port 0 --log-level warn >"$folder/store.out" &
  store=$!
  local deadline=$((SECONDS + START_SECONDS))
  until grep -q '^Try it' "$folder/store.out"; do
    if ((SECONDS > deadline)) || ! kill -0 "$store"; then
      echo 'the store did not start'
      exit 1
    fi
    sleep 0.2
  done
  endpoint=$(sed -n 's/^S3 endpoint *//p' "$folder/store.out")
}

stop() {
  local code=$?
  trap - EXIT
  if [[ -n $store ]]; then
    kill "$store" || true
    if ! wait "$store"; then
      echo 'the store did not end well'
      code=1
    fi
  fi
  rm -rf "$folder"
  exit "$code"
}

# job NAME ENVIRONMENT SCRIPT [ARGUMENT…]: what goes to standard error is shown only of a job that failed.
job() {
  local name=$1 environment=.venv-ml-$2 script=$3 started=$SECONDS verdict=passed
  shift 3
  mkdir "$folder/$name"
  echo "== $name: $(grep -v '^#' "$environment/installed.txt" | paste -sd ' ')"
  if ! PATH="$PWD/$environment/bin:$PATH" timeout --signal=INT --kill-after=30 "$JOB_SECONDS" \
    python "test/ml/$script" "$@" "$folder/$name" 2>"$folder/$name.err" | tee "$folder/$name.tap"; then
    verdict=FAILED
    failed=1
    tail -n 50 "$folder/$name.err"
  fi
  results+=("$(printf '%-15s %s  %3d checks  %3d s' "$name" "$verdict" "$(grep -cE '^(not )?ok' "$folder/$name.tap")" $((SECONDS - started)))")
}

start
export AWS_SHARED_CREDENTIALS_FILE=$folder/drive1/root-credentials AWS_DEFAULT_REGION=us-east-1 AWS_ENDPOINT_URL=$endpoint
export AWS_CONFIG_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONUTF8=1 TF_CPP_MIN_LOG_LEVEL=2
export MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT=true

job mlflow-direct mlflow mlflow_job.py direct
job mlflow-proxied mlflow mlflow_job.py proxied
job pytorch pytorch pytorch_job.py
job tensorflow tensorflow tensorflow_job.py
S3_ENDPOINT=$endpoint AWS_REGION=us-east-1 job tensorflow-io tensorflow-io tensorflow_io_job.py

echo
printf '%s\n' "${results[@]}"
exit "$failed"
