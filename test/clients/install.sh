#!/usr/bin/env bash
# Installs the clients that test/clients runs: Python packages in .venv and .venv-s3fs, minio-js in .clients, the others
# with apt-get. What is there already is left alone. Without root, or without apt-get, some tests are skipped; in CI that is an error.
set -euo pipefail
cd "$(dirname "$0")/../.."

# quietly COMMAND…: says what went wrong only when something did.
quietly() {
  local log
  log=$(mktemp)
  echo "installing: $*"
  if ! "$@" >"$log" 2>&1; then
    tail -n 50 "$log"
    echo "failed: $*"
    exit 1
  fi
  rm -f "$log"
}

# of_apt PACKAGE…: installs them where that can be done.
of_apt() {
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    quietly apt-get update
    quietly env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
    return
  fi
  echo "missing, and can not be installed here: $*"
  if [[ -n ${CI:-} ]]; then exit 1; fi
}

# The unofficial packages of PyPI fetch aws-cli 2 from elsewhere; that of Debian is built from its sources.
has_aws_2() {
  local aws
  while read -r aws; do
    if "$aws" --version 2>/dev/null | grep -q '^aws-cli/2\.'; then return 0; fi
  done < <(type -ap aws)
  return 1
}

# venv DIRECTORY REQUIREMENTS: made when the requirements are not those that it was made of.
venv() {
  if cmp -s "$2" "$1/installed.txt"; then return; fi
  quietly python3 -m venv --clear "$1"
  quietly "$1/bin/pip" install --disable-pip-version-check -r "$2"
  cp "$2" "$1/installed.txt"
}

packages=()
for tool in openssl curl rclone restic s3cmd; do
  if ! command -v "$tool" >/dev/null; then packages+=("$tool"); fi
done
if ! has_aws_2; then packages+=(awscli); fi
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then packages+=(python3 python3-venv); fi
if ((${#packages[@]} > 0)); then of_apt "${packages[@]}"; fi

venv .venv test/clients/requirements.txt
venv .venv-s3fs test/clients/requirements-s3fs.txt

minio=minio@8.0.7
if [[ $(cat .clients/installed.txt 2>/dev/null) != "$minio" ]]; then
  mkdir -p .clients
  quietly npm install --prefix .clients --no-audit --no-fund "$minio"
  echo "$minio" >.clients/installed.txt
fi
