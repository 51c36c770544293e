#!/usr/bin/env bash
# The image and the compose file, built and run: brings the stack up under a name of its own and on free ports, makes a
# tenant and a session, restarts everything, finds the session again, and takes it all down. Where no Docker engine
# answers it says so and tests nothing. Building the image takes minutes the first time.
#
# Usage: tests/stack.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! docker info >/dev/null 2>&1; then
  printf 'skipped: no Docker engine answers\n'
  exit 0
fi

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}
ok() { printf 'ok: %s\n' "$*"; }
command -v curl >/dev/null || fail "curl was not found: please install it"
if docker compose version >/dev/null 2>&1; then
  compose=(docker compose)
else
  command -v docker-compose >/dev/null || fail "neither docker compose nor docker-compose was found: please install one"
  compose=(docker-compose)
fi

project=agentapi-stack-$$
folder=$(mktemp -d)
admin_key=development-only-admin-key-not-for-production
# The fixed name of the container may be taken by a stack that is in use.
printf 'services:\n  redis:\n    container_name: %s-redis-named\n' "$project" >"$folder/names.yml"
: >"$folder/none.env"
# Port 0 is a free one. Nothing else of the environment, nor an .env, has a say.
given=("PATH=$PATH" "HOME=$HOME" "AGENTAPI_IMAGE=$project" PORT=0 REDIS_PORT=0 REDIS_INSIGHTS_PORT=0)
[ -z "${DOCKER_HOST:-}" ] || given+=("DOCKER_HOST=$DOCKER_HOST")
files=(-f docker-compose.multitenant.yml -f "$folder/names.yml")

run() { env -i "${given[@]}" "${compose[@]}" --env-file "$folder/none.env" -p "$project" "${files[@]}" "$@"; }
quietly() { "$@" >"$folder/log" 2>&1 || { cat "$folder/log" >&2; fail "$*"; }; }
container() { run ps -q "$1" 2>/dev/null; }
of() { docker inspect -f "$2" "$(container "$1")"; }
address() { printf 'http://%s' "$(run port "$1" "$2" 2>/dev/null)"; }

take_down() {
  local code=$?
  if [ "$code" -ne 0 ]; then run logs --tail 20 >&2 || true; fi
  run --profile development down --volumes --remove-orphans --timeout 10 >/dev/null 2>&1 || true
  docker rm -f "$project-memory" >/dev/null 2>&1 || true
  docker rmi "$project" >/dev/null 2>&1 || true
  rm -rf "$folder"
}
trap take_down EXIT

healthy() { # SERVICE: waits until Docker says so
  for _ in $(seq 120); do
    [ "$(of "$1" '{{.State.Health.Status}}')" = healthy ] && return
    sleep 0.5
  done
  fail "$1 does not become healthy"
}

up() { # ARGUMENT...
  quietly run "$@"
  healthy redis
  healthy agentapi
  server=$(address agentapi 3284)
}

ask() { # KEY METHOD PATH [BODY]: the status in `status`, the body in `body`
  local body_of=(${4:+-d "$4"})
  status=$(curl -s -o "$folder/body" -w '%{http_code}' --max-time 10 --noproxy '*' -X "$2" "$server$3" \
    -H "Authorization: Bearer $1" -H 'Content-Type: application/json' "${body_of[@]}")
  body=$(cat "$folder/body")
}

expect() { # STATUS WHAT
  [ "$status" = "$1" ] || fail "$2: $status instead of $1: $body"
  ok "$2"
}

member() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" <<<"$body"; }
in_redis() { docker exec "$(container redis)" redis-cli "$@"; }

# --- What is refused before anything runs ---
for name in production upstash; do
  if run -f "docker-compose.$name.yml" config >/dev/null 2>"$folder/refusal"; then fail "$name without secrets"; fi
  grep -q 'must ' "$folder/refusal" || fail "$name is refused without a reason: $(cat "$folder/refusal")"
  ok "$name without secrets is refused"
done
quietly run config
ok "development needs no variable"

# --- The image ---
started=$SECONDS
if ! docker build -f Dockerfile.multitenant -t "$project" . >"$folder/build" 2>&1; then
  tail -n 40 "$folder/build" >&2
  fail "the image cannot be built"
fi
ok "the image is built, in $((SECONDS - started)) s"
size() { docker image inspect -f '{{.Size}}' "$1"; }
added=$((($(size "$project") - $(size debian:bookworm-slim)) / 1000000))
[ "$added" -lt 60 ] || fail "the image adds $added MB to its base"
ok "the image adds $added MB to its base"
quietly docker run -d --name "$project-memory" --read-only --cap-drop ALL --network none "$project"
for _ in $(seq 40); do
  docker exec "$project-memory" agentapi healthcheck >"$folder/log" 2>&1 && break
  sleep 0.25
done
[ "$(cat "$folder/log")" = 'http://127.0.0.1:3284/status answers 200' ] || fail "alone and read-only: $(cat "$folder/log")"
ok "the image runs alone, read-only, without a capability: $(cat "$folder/log")"
quietly docker rm -f "$project-memory"

# --- Development ---
up up -d
ok "the stack is up and healthy"
[ "$(of agentapi '{{.HostConfig.ReadonlyRootfs}}')" = true ] || fail "the root file system is not read-only"
[ "$(docker top "$(container agentapi)" -eo pid,uid | awk 'END { print $2 }')" = 10001 ] || fail "it does not run as user 10001"
ok "it runs as user 10001 on a read-only file system"
[ "$(of agentapi '{{(index (index .NetworkSettings.Ports "3284/tcp") 0).HostIp}}')" = 127.0.0.1 ] || fail "the port is not on loopback"
[ -z "$(container redis-insights)" ] || fail "Redis Insight runs without its profile"
for setting in 'maxmemory-policy volatile-lru' 'maxmemory 268435456' 'appendonly yes' 'save 900 1 300 10 60 10000'; do
  read -r name value <<<"$setting"
  [ "$(in_redis config get "$name" | tail -n 1)" = "$value" ] || fail "Redis has not $setting"
done
ok "Redis has its settings"
ask "$admin_key" POST /admin/v1/tenants '{"id":"acme","create_key":true}'
expect 201 "a tenant is made"
key=$(member key)
ask "$key" POST /v1/sessions '{"user_id":"alice"}'
expect 201 "a session is made"
session=$(member id)

quietly run down --timeout 20
up up -d
ask "$key" GET "/v1/sessions/$session"
expect 200 "after everything was removed and made again the session is found"

quietly run stop redis
if docker exec "$(container agentapi)" agentapi healthcheck >"$folder/log" 2>&1; then fail "healthy without Redis"; fi
grep -q 'answers 503' "$folder/log" || fail "without Redis: $(cat "$folder/log")"
quietly run start redis
healthy redis
for _ in $(seq 60); do
  docker exec "$(container agentapi)" agentapi healthcheck >/dev/null 2>&1 && break
  sleep 0.5
done
ask "$key" GET "/v1/sessions/$session"
expect 200 "a Redis that goes is told by the health check, and when it is back the session is found"

quietly run --profile development up -d
insights=$(address redis-insights 5540)
for _ in $(seq 60); do
  curl -sf -o /dev/null --noproxy '*' "$insights" && break
  sleep 0.5
done
curl -sf -o /dev/null --noproxy '*' "$insights" || fail "Redis Insight does not answer"
ok "Redis Insight answers with its profile"
quietly run --profile development down --timeout 20

# --- A password, by environment; with all that could be taken for something else in it ---
given+=('REDIS_PASSWORD=p "\ $x'"'"'#&%@:/')
up up -d
in_redis ping 2>&1 | grep -q NOAUTH || fail "Redis asks for no password"
ask "$key" GET "/v1/sessions/$session"
expect 200 "with a password for Redis the session is found"
quietly run down --timeout 20
unset 'given[-1]'

# --- Production: secrets in files ---
printf 'production-admin-key-of-32-characters-and-more' >"$folder/admin_api_key"
printf '%064d' 7 >"$folder/token_encryption_key"
printf 'a-password-of-redis' >"$folder/redis_password"
chmod 444 "$folder"/*_key "$folder/redis_password"
for secret in admin_api_key token_encryption_key redis_password; do
  given+=("${secret^^}_FILE=$folder/$secret")
done
files+=(-f docker-compose.production.yml)
up up -d
ask "$admin_key" GET /admin/v1/tenants/acme
expect 401 "in production the key of development opens nothing"
ask "$(cat "$folder/admin_api_key")" GET /admin/v1/tenants/acme
expect 200 "in production the key of the file opens the admin API"
ask "$key" GET "/v1/sessions/$session"
expect 200 "in production the session is found"
ask "$key" PUT /v1/tokens/alice/google '{"access_token":"ya29"}'
expect 201 "in production tokens are sealed"
in_redis ping 2>&1 | grep -q NOAUTH || fail "Redis asks for no password"
for service in agentapi redis; do
  { docker inspect "$(container "$service")"; docker top "$(container "$service")" -eo pid,args; } >"$folder/shown"
  for secret in admin_api_key token_encryption_key redis_password; do
    if grep -qF -f "$folder/$secret" "$folder/shown"; then fail "$service shows the $secret"; fi
  done
done
ok "neither docker inspect nor a list of processes shows a secret"
started=$SECONDS
quietly run stop --timeout 20 agentapi
[ "$(of agentapi '{{.State.ExitCode}}')" = 0 ] || fail "it does not end by itself"
ok "it ends by itself, in $((SECONDS - started)) s"
printf 'the stack: all is well\n'
