#!/bin/sh
# The `riad` command inside a job. `riad deploy` asks Riad to roll an image out, shows how that goes, and fails the job
# where it fails. Needs a POSIX shell and one of curl, python3, wget or bash. Asking again (a lost connection, a Riad
# that is started again meanwhile) takes up the same roll-out and goes on after the lines that were already shown.

usage='usage: riad deploy [--image REF] [--port N] [--health PATH] [--env NAME=VALUE]... [--name SERVICE] [--timeout SECONDS]

  --image    what to release (default: $CI_REGISTRY_IMAGE:$CI_COMMIT_SHORT_SHA)
  --port     where the service listens in its container (default: the first port that the image exposes)
  --health   a path that answers 2xx or 3xx once the service is ready (default: it accepts TCP connections)
  --env      a variable of the service; may be repeated
  --name     the service answers on NAME.localhost (default: the project'\''s name)
  --timeout  seconds that the service may take to become healthy (default: 60)

The environment is the job'\''s (environment: in .gitlab-ci.yml), production where the job has none.'

newline='
'

fail() {
    printf 'riad: %s\n' "$1" >&2
    exit "${2:-1}"
}

# Prints $1 with backslashes and newlines escaped.
escaped() {
    rest=$1 done=
    while :; do
        head=${rest%%[\\$newline]*}
        [ "$head" = "$rest" ] && break
        rest=${rest#"$head"}
        case $rest in
            \\*) done="$done$head\\\\" ;;
            *) done="$done$head\\n" ;;
        esac
        rest=${rest#?}
    done
    printf '%s' "$done$rest"
}

# Adds a setting to the request.
add() {
    body="$body$1=$(escaped "$2")$newline"
}

have() {
    command -v "$1" >/dev/null 2>&1
}

python_client='
import sys, urllib.request
url, token = sys.argv[1:]
request = urllib.request.Request(url, data=sys.stdin.buffer.read(), method="POST",
    headers={"JOB-TOKEN": token, "Content-Type": "text/plain; charset=utf-8"})
try:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        while True:
            line = answer.readline()
            if not line:
                break
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
except OSError as error:
    sys.exit("%s: %s" % (url, error))
'

# shellcheck disable=SC2016
bash_client='
address=${1#http://} target=/${1#http://*/} host=${1#http://}
host=${host%%/*}
case $host in *:*) port=${host##*:} ;; *) port=80 ;; esac
exec 3<>"/dev/tcp/${host%:*}/$port" || exit 1
LC_ALL=C
printf "POST %s HTTP/1.0\r\nHost: %s\r\nJOB-TOKEN: %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n%s" \
    "$target" "$host" "$2" "${#3}" "$3" >&3
while IFS= read -r line <&3 && [ "$line" != $'"'\\r'"' ]; do :; done
while IFS= read -r line <&3; do printf "%s\n" "$line"; done
'

# Sends the request $1, prints the answer as it comes.
send() {
    unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
    if have curl; then
        printf '%s' "$1" | curl --silent --show-error --no-buffer --request POST --data-binary @- \
            --header "JOB-TOKEN: $CI_JOB_TOKEN" --header 'Content-Type: text/plain; charset=utf-8' "$url"
    elif have python3; then
        printf '%s' "$1" | python3 -c "$python_client" "$url" "$CI_JOB_TOKEN"
    elif have wget; then
        wget -q -O - --header "JOB-TOKEN: $CI_JOB_TOKEN" --header 'Content-Type: text/plain; charset=utf-8' \
            --post-data "$1" "$url"
    else
        bash -c "$bash_client" bash "$url" "$CI_JOB_TOKEN" "$1"
    fi
}

# Shows the answer; 0: success, 10: failed, 11: cut off. Each shown line leaves a byte in the file $1.
show() {
    while IFS= read -r line; do
        case $line in
            '> '*) printf '%s\n' "${line#> }"; printf . >>"$1" ;;
            'riad: result success') exit 0 ;;
            'riad: result failed') exit 10 ;;
        esac
    done
    exit 11
}

deploy() {
    body= image= environment=${CI_ENVIRONMENT_NAME:-production}
    while [ $# -gt 0 ]; do
        option=$1
        case $option in
            --help | -h) printf '%s\n' "$usage"; exit 0 ;;
            --*=*) value=${option#*=} option=${option%%=*}; shift ;;
            --*) [ $# -gt 1 ] || fail "$option needs a value" 2; value=$2; shift 2 ;;
            *) fail "\"$option\" is no option of deploy$newline$usage" 2 ;;
        esac
        case $option in
            --image) image=$value ;;
            --port | --health | --env | --name | --timeout) add "${option#--}" "$value" ;;
            *) fail "$option is no option of deploy$newline$usage" 2 ;;
        esac
    done
    [ -n "${CI_JOB_TOKEN:-}" ] || fail 'CI_JOB_TOKEN is not set: this works in a job of a Riad pipeline only' 2
    server=${RIAD_URL:-${CI_SERVER_URL:-}}
    [ -n "$server" ] || fail 'neither RIAD_URL nor CI_SERVER_URL says where Riad is' 2
    [ -n "$image" ] || image=${CI_REGISTRY_IMAGE:-}:${CI_COMMIT_SHORT_SHA:-}
    add image "$image"
    add environment "$environment"
    [ -z "${CI_ENVIRONMENT_URL:-}" ] || add url "$CI_ENVIRONMENT_URL"
    url=${server%/}/api/riad/v1/jobs/deploy

    have curl || have python3 || have wget || { have bash && [ "$url" != "${url#http://}" ]; } ||
        fail 'this image has none of curl, python3, wget and bash; install one of them before `riad deploy`'

    shown=$(mktemp 2>/dev/null || echo "/tmp/.riad-deploy.$$")
    : >"$shown" || fail "cannot write $shown" 2
    trap 'rm -f "$shown"' EXIT
    attempts=0
    while :; do
        before=$(wc -c <"$shown")
        result=0
        send "${body}after=$((before))$newline" | show "$shown" || result=$?
        case $result in
            0) exit 0 ;;
            10) exit 1 ;;
        esac
        [ "$(wc -c <"$shown")" -gt "$before" ] && attempts=0
        attempts=$((attempts + 1))
        [ "$attempts" -lt 90 ] || fail "Riad at $server does not answer; the roll-out may still go on there"
        [ "$attempts" -gt 1 ] || printf 'riad: the connection to Riad was lost; trying again\n' >&2
        sleep 1
    done
}

case ${1:-} in
    deploy) shift; deploy "$@" ;;
    '' | help | --help | -h) printf '%s\n' "$usage" ;;
    *) fail "\"$1\" is not a command here; inside jobs there is \`riad deploy\`$newline$usage" 2 ;;
esac
