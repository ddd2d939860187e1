#!/bin/sh
# Installs packages into a layer over this machine's root, which itself stays as it is.
# Called in a mount namespace of its own: install.sh LAYER PACKAGES...
set -e
layer=$1
shift
mkdir -p "$layer/upper" "$layer/work" "$layer/root"
root=$layer/root
mount -t overlay iptsim -o "lowerdir=/,upperdir=$layer/upper,workdir=$layer/work" "$root"
for directory in /proc /sys /dev; do mount --rbind "$directory" "$root$directory"; done
mount -t tmpfs run "$root/run"
mkdir "$root/run/lock"
# No service starts.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
export DEBIAN_FRONTEND=noninteractive
chroot "$root" apt-get update -qq
chroot "$root" apt-get install -y -qq -d --no-install-recommends "$@"
# Maintainer scripts may call iptables: they get a network namespace of their own.
unshare -n chroot "$root" apt-get install -y -qq --no-download --no-install-recommends -o Dpkg::Options::=--force-confnew "$@"
