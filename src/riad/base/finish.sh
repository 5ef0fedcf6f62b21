#!/bin/sh
# Finishes a base image: `sh finish.sh ROOT STEP...` runs the steps on the root file system ROOT, before it is packed.
set -eu
root=$1
shift
[ -n "$root" ] && [ "$(readlink -f "$root")" != / ] || { echo "finish.sh: refusing to work on $root" >&2; exit 2; }

# apt and dpkg inside the image behave as in the well-known images: no kept archives, no translations.
container_apt() {
    conf="$root/etc/apt/apt.conf.d"
    cat >"$conf/docker-clean" <<'EOF'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
EOF
    echo 'Acquire::Languages "none";' >"$conf/docker-no-languages"
    echo 'Acquire::GzipIndexes "true";' >"$conf/docker-gzip-indexes"
    echo 'Apt::AutoRemove::SuggestsImportant "false";' >"$conf/docker-autoremove-suggests"
    echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/docker-apt-speedup"
}

# Installing a package starts no service, neither now nor in containers.
no_services() {
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
}

# Certificate authorities that the host trusts beyond the distribution's.
authorities() {
    mkdir -p "$root/usr/local/share/ca-certificates"
    for file in $RIAD_BASE_AUTHORITIES; do
        cp "$file" "$root/usr/local/share/ca-certificates/"
    done
    chmod 644 "$root"/usr/local/share/ca-certificates/*.crt
    chroot "$root" update-ca-certificates >/dev/null
}

# In an image, pip owns its Python: there is no distribution to protect from it.
free_pip() {
    rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
}

# Only the client of a package that has the whole engine.
docker_client() {
    folder=$(mktemp -d "$root/tmp/docker.XXXXXX")
    inside=${folder#"$root"}
    chroot "$root" sh -c "cd '$inside' && apt-get -o APT::Sandbox::User=root -qq download docker.io && dpkg-deb --fsys-tarfile ./*.deb" |
        tar -x -C "$root" ./usr/bin/docker
    rm -rf "$folder"
}

# What differs from run to run or is made anew when needed. /tmp is not touched: mmdebstrap keeps its apt configuration
# there, and without it apt would work on the host.
tidy() {
    rm -rf "$root"/var/log/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/cache/debconf/*-old \
        "$root"/var/lib/dpkg/*-old "$root"/var/cache/ldconfig/aux-cache "$root"/usr/share/doc-base
    mkdir -p "$root/var/cache/apt/archives/partial" "$root/var/lib/apt/lists/partial" "$root/var/log/apt"
    : >"$root/etc/machine-id"
}

for step in "$@"; do
    "$step"
done
