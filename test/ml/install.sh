#!/usr/bin/env bash
# Makes the Python environments of the jobs, .venv-ml-*, each again when its requirements changed.
# Downloads several GB. Needs Linux on x86-64 and Python 3.11 or 3.12: PYTHON=python3.12 npm run test:ml
set -euo pipefail
cd "$(dirname "$0")/../.."

# PyPI has only the PyTorch that brings CUDA along; this index has one that is ten times smaller.
torch_for_cpu=https://download.pytorch.org/whl/cpu

install() {
  local requirements=$1 environment=$2 options=(--disable-pip-version-check --no-cache-dir --quiet)
  if cmp --silent "$requirements" "$environment/installed.txt"; then return; fi
  echo "# installing $requirements into $environment"
  if [[ $environment == *pytorch ]] && curl --silent --fail --head --max-time 10 --output /dev/null "$torch_for_cpu/torch/"; then
    options+=(--extra-index-url "$torch_for_cpu")
  fi
  "${PYTHON:-python3}" -m venv --clear "$environment"
  "$environment/bin/pip" install "${options[@]}" -r "$requirements"
  cp "$requirements" "$environment/installed.txt"
}

for requirements in test/ml/requirements-*.txt; do
  name=${requirements#test/ml/requirements-}
  install "$requirements" ".venv-ml-${name%.txt}"
done
