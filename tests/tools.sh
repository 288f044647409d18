#!/bin/sh
# Installs the Debian packages that `make test` runs against: real clients, proxies and tools.
# As root on Debian 12 only what is missing is installed, and no service is started or enabled.
# Anywhere else this only says what is missing; pytest then lists the tests it left out.
set -eu

# What has to be there (a command, or a file if it begins with a slash), and its package.
wanted='
docker          docker.io
dockerd         docker.io
containerd      containerd
ctr             containerd
runc            runc
podman          podman
buildah         buildah
skopeo          skopeo
docker-registry docker-registry
debootstrap     debootstrap
gpgv            gpgv
xz              xz-utils
nginx           nginx-light
haproxy         haproxy
pgbouncer       pgbouncer
wrk             wrk
strace          strace
cc              gcc
/usr/include/stdlib.h libc6-dev
curl            curl
chromium        chromium
jq              jq
openssl         openssl
git             git
fusermount3     fuse3
mkfs.ext4       e2fsprogs
mkfs.xfs        xfsprogs
mkfs.btrfs      btrfs-progs
losetup         mount
ip              iproute2
newuidmap       uidmap
docker-compose  docker-compose
systemd-analyze systemd
prlimit         util-linux
/usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
/etc/ssl/certs/ca-certificates.crt             ca-certificates
'

PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export PATH

missing_packages() {
    echo "$wanted" | while read -r thing package; do
        case $thing in
            '') ;;
            /*) [ -e "$thing" ] || echo "$package" ;;
            *) command -v "$thing" >/dev/null 2>&1 || echo "$package" ;;
        esac
    done | sort -u
}

is_debian_12() {
    [ -r /etc/os-release ] || return 1
    (. /etc/os-release && [ "${ID:-}" = debian ] && [ "${VERSION_ID:-}" = 12 ])
}

installed_packages() {
    dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | awk '$1 == "ii" { print $2 }' | sort -u
}

# A policy that forbids starting services stands only while packages are being unpacked.
policy=/usr/sbin/policy-rc.d
work=$(mktemp -d)

put_policy() {
    if [ -e "$policy" ] || [ -L "$policy" ]; then
        mv "$policy" "$work/policy-rc.d"
    else
        : >"$work/policy-was-absent"
    fi
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}

clean_up() {
    if [ -e "$work/policy-rc.d" ] || [ -L "$work/policy-rc.d" ]; then
        mv -f "$work/policy-rc.d" "$policy"
    elif [ -e "$work/policy-was-absent" ]; then
        rm -f "$policy"
    fi
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Units that the new packages brought in are left disabled: the tests start their own daemons.
disable_services_of() {
    for package in "$@"; do
        dpkg -L "$package" 2>/dev/null || true
    done | while read -r path; do
        case $path in
            */systemd/system/*@.*) ;;
            */systemd/system/*.service | */systemd/system/*.socket | */systemd/system/*.timer)
                # What `systemctl disable` does, where there may be no systemctl.
                find /etc/systemd/system -path '*.wants/*' -type l -name "${path##*/}" -delete
                ;;
            /etc/init.d/*)
                update-rc.d "${path##*/}" disable >/dev/null 2>&1 || true
                ;;
        esac
    done
}

run_quietly() {
    if ! "$@" >"$work/log" 2>&1 </dev/null; then
        echo "tests/tools.sh: failed: $*" >&2
        tail -n 30 "$work/log" >&2
        exit 1
    fi
}

missing=$(missing_packages)
if [ -z "$missing" ]; then
    exit 0
fi
# One word a package, so that the lists can be given as arguments.
missing=$(echo "$missing" | tr '\n' ' ')

if [ "$(id -u)" != 0 ] || ! is_debian_12; then
    echo "Missing: $missing"
    echo "They come by themselves only as root on Debian 12."
    if [ "$(id -u)" = 0 ]; then
        echo "Install what they are called here; tests that miss their program will fail."
    else
        echo "The tests that need them or root are listed as not run."
    fi
    exit 0
fi

echo "Installing what the tests need: $missing"
installed_packages >"$work/before"
put_policy
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
run_quietly apt-get -q update
# shellcheck disable=SC2086 # one word a package
run_quietly apt-get -q install -y --no-install-recommends $missing
installed_packages >"$work/after"
# shellcheck disable=SC2046 # one word a package
disable_services_of $(comm -13 "$work/before" "$work/after")

missing=$(missing_packages | tr '\n' ' ')
if [ -n "$missing" ]; then
    echo "tests/tools.sh: still missing after the installation: $missing" >&2
    exit 1
fi
