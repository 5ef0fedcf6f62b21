#!/bin/sh
# Makes a service of a base image: `sh services.sh ROOT STEP` runs after finish.sh. What each image does follows the
# well-known images of its name: environment variables, ports, volumes, where first-start scripts lie.
set -eu
root=$1
shift
[ -n "$root" ] && [ "$(readlink -f "$root")" != / ] || { echo "services.sh: refusing to work on $root" >&2; exit 2; }

entrypoint() {
    cat >"$root/usr/local/bin/docker-entrypoint.sh"
    chmod 755 "$root/usr/local/bin/docker-entrypoint.sh"
}

postgres() {
    # The package has made a cluster of its own; a container makes one at its first start.
    rm -rf "$root"/var/lib/postgresql/*/main "$root"/etc/postgresql/*/main
    mkdir -p "$root/docker-entrypoint-initdb.d" "$root/var/lib/postgresql/data"
    chroot "$root" chown -R postgres:postgres /var/lib/postgresql
    chmod 700 "$root/var/lib/postgresql/data"
    entrypoint <<'EOF'
#!/bin/sh
set -eu

# NAME, or the content of the file that NAME_FILE names.
setting() {
    eval "value=\${$1:-} file=\${$1_FILE:-}"
    if [ -n "$value" ] && [ -n "$file" ]; then
        echo "error: both $1 and $1_FILE are set (but are exclusive)" >&2
        exit 1
    fi
    if [ -n "$file" ]; then value=$(cat "$file"); fi
    printf %s "${value:-${2:-}}"
}

case ${1:-} in -*) set -- postgres "$@" ;; esac
[ "${1:-}" = postgres ] || exec "$@"
for argument; do
    case $argument in -'?' | --help | --version | -V | --describe-config) exec "$@" ;; esac
done

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /run/postgresql
    find "$PGDATA" \! -user postgres -exec chown postgres '{}' +
    chown postgres /run/postgresql
    chmod 700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    user=$(setting POSTGRES_USER postgres)
    password=$(setting POSTGRES_PASSWORD)
    database=$(setting POSTGRES_DB "$user")
    method=${POSTGRES_HOST_AUTH_METHOD:-}
    if [ -z "$password" ] && [ "$method" != trust ]; then
        cat >&2 <<'END'
Error: Database is uninitialized and superuser password is not specified.
       You must specify POSTGRES_PASSWORD to a non-empty value for the
       superuser. For example, "-e POSTGRES_PASSWORD=password" on "docker run".
       You may also use "POSTGRES_HOST_AUTH_METHOD=trust" to allow all
       connections without a password. This is *not* recommended.
END
        exit 1
    fi
    mkdir -p "$PGDATA"
    secret=$(mktemp)
    printf '%s\n' "$password" >"$secret"
    if [ -n "$password" ]; then
        # shellcheck disable=SC2086 -- several arguments
        initdb --username="$user" --pwfile="$secret" --auth-local=trust ${POSTGRES_INITDB_ARGS:-} -D "$PGDATA"
    else
        # shellcheck disable=SC2086
        initdb --username="$user" --auth-local=trust ${POSTGRES_INITDB_ARGS:-} -D "$PGDATA"
    fi
    rm -f "$secret"
    printf '\nhost all all all %s\n' "${method:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"
    pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -c unix_socket_directories=/run/postgresql" -w start
    run="psql -v ON_ERROR_STOP=1 --no-password --no-psqlrc -h /run/postgresql -U $user"
    if [ "$database" != postgres ]; then
        printf 'CREATE DATABASE :"name";\n' | $run -v name="$database" -d postgres
    fi
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
        *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
        *.sql) $run -d "$database" -f "$file" ;;
        *.sql.gz) gunzip -c "$file" | $run -d "$database" ;;
        esac
    done
    pg_ctl -D "$PGDATA" -m fast -w stop
    echo
    echo "PostgreSQL init process complete; ready for start up."
    echo
fi
exec "$@" -c "listen_addresses=*" -c unix_socket_directories=/run/postgresql
EOF
}

redis() {
    mkdir -p "$root/data"
    chroot "$root" chown redis:redis /data
    entrypoint <<'EOF'
#!/bin/sh
set -e
case ${1:-} in -* | *.conf) set -- redis-server "$@" ;; esac
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    find . \! -user redis -exec chown redis '{}' +
    exec setpriv --reuid=redis --regid=redis --init-groups "$0" "$@"
fi
if [ "$1" = redis-server ]; then
    # In a container the published port is the door; a configuration file says what it wants itself.
    case "$*" in *.conf* | *protected-mode*) ;; *) set -- "$@" --protected-mode no ;; esac
fi
exec "$@"
EOF
}

nginx() {
    mkdir -p "$root/var/log/nginx" "$root/etc/nginx/conf.d"
    ln -sf /dev/stdout "$root/var/log/nginx/access.log"
    ln -sf /dev/stderr "$root/var/log/nginx/error.log"
    rm -f "$root/etc/nginx/sites-enabled/default"
    mkdir -p "$root/usr/share/nginx/html"
    [ -e "$root/usr/share/nginx/html/index.html" ] || echo '<h1>Welcome to nginx!</h1>' >"$root/usr/share/nginx/html/index.html"
    cat >"$root/etc/nginx/conf.d/default.conf" <<'EOF'
server {
    listen 80;
    listen [::]:80;
    server_name localhost;
    location / {
        root /usr/share/nginx/html;
        index index.html index.htm;
    }
}
EOF
}

"$1"
