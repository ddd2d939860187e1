#!/bin/sh
# Runs a command on a throw-away copy of this machine's root (an overlay) with the packages of a layer added.
# Called in a mount namespace of its own: sandbox.sh LAYER CASE PLAIN|UNPRIVILEGED COMMAND [ARGS...]
#   LAYER   directory with `upper`, the packages' files
#   CASE    directory that is visible as /case; its `files` are copied over the root first
# UNPRIVILEGED: in a user namespace whose users are this machine's, but which has no rights over any real namespace.
# $VISIBLE: directories on other file systems that have to be visible too.
set -e
layer=$1 case=$2 rights=$3
shift 3
work=$(mktemp -d)
mount -t tmpfs iptsim "$work"
mkdir "$work/upper" "$work/work" "$work/root" "$work/base"
root=$work/root
# The layer lies below the root itself, so the two cannot be layers of one overlay.
mount -t overlay iptsim -o "lowerdir=/,upperdir=$layer/upper,workdir=$layer/work" "$work/base"
mount -t overlay iptsim -o "lowerdir=$work/base,upperdir=$work/upper,workdir=$work/work" "$root"
for directory in /proc /sys /dev $VISIBLE; do
  mkdir -p "$root$directory"
  mount --rbind "$directory" "$root$directory"
done
mount -t tmpfs run "$root/run"
mount -t tmpfs tmp "$root/tmp"
mkdir "$root/run/lock" "$root/case" "$root/old"
chmod 1777 "$root/tmp"
mount --bind "$case" "$root/case"
cp -R "$case/files/." "$root/"
cd "$root"
pivot_root . old
umount -l /old
if [ "$rights" = PLAIN ]; then
  exec "$@"
fi
mkfifo /run/mapped
unshare --user sh -c 'read -r _ </run/mapped; exec "$@"' sh "$@" &
child=$!
while [ "$(readlink /proc/$child/ns/user)" = "$(readlink /proc/self/ns/user)" ]; do sleep 0.02; done
echo 0 0 65536 >/proc/$child/uid_map
echo 0 0 65536 >/proc/$child/gid_map
echo >/run/mapped
wait $child
