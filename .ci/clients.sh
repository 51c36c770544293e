# shellcheck shell=bash
# What the tests of OpenFeature's clients need beside Node and Python themselves, installed under target/clients as
# tests/clients says. For `./test`, which sources this file after packages.sh, from the root of the repository.
#
# What is installed stays until one of those lists changes: each has a copy beside it, made last, so that another run
# asks nobody for anything. Where a language is not there its clients are left out, and their tests say so.

installed() { # LIST FOLDER
  cmp --silent "tests/clients/$1" "target/clients/$2/installed"
}

# What was installed for one version of Python is not there for the next.
python_imports() { target/clients/python/bin/python -c 'import openfeature' 2>/dev/null; }

install_node_clients() {
  local folder=target/clients/node
  rm -rf "$folder"
  mkdir -p "$folder"
  cp tests/clients/package.json tests/clients/package-lock.json "$folder"
  # None of them has a script that must run, so none may.
  npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel error
  cp tests/clients/package-lock.json "$folder/installed"
}

install_python_clients() {
  local folder=target/clients/python
  rm -rf "$folder"
  need python3-venv python3 -c 'import venv, ensurepip'
  install_missing
  python3 -m venv "$folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: -r tests/clients/requirements.txt
  cp tests/clients/requirements.txt "$folder/installed"
}

install_clients() {
  if command -v node >/dev/null && ! installed package-lock.json node; then
    command -v npm >/dev/null || fail "npm was not found, though node is there: please install it"
    printf 'installing: the clients in JavaScript\n'
    install_node_clients
  fi
  if command -v python3 >/dev/null && ! { installed requirements.txt python && python_imports; }; then
    printf 'installing: the client in Python\n'
    install_python_clients
  fi
}
