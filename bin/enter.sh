#!/bin/sh
# First process inside the namespaces of `iptsim run`: puts the shims over the real tools, then becomes the command.
# enter.sh RUN MOUNTS NETWORK COMMAND [ARGS...]
#   RUN      the run's private directory, with bin/, over/ and the list `targets`
#   MOUNTS   1 in a mount namespace of its own
#   NETWORK  own: a network namespace of its own; drop: the machine's, the right to change it is given up; keep: as it is
run=$1 mounts=$2 network=$3
shift 3

if [ "$mounts" = 1 ]; then
  # Names that a directory lacks: an overlay adds them. What is written there during the run is lost with it.
  while read -r number directory; do
    mkdir -p "$run/upper/$number"
    mount -t tmpfs iptsim "$run/upper/$number" && mkdir "$run/upper/$number/u" "$run/upper/$number/w" && {
      options=lowerdir=$run/over/$number:$directory,upperdir=$run/upper/$number/u,workdir=$run/upper/$number/w
      mount -t overlay iptsim -o "$options" "$directory" 2>/dev/null ||
        mount -t overlay iptsim -o "$options,userxattr" "$directory" 2>/dev/null ||
        mount -t overlay iptsim -o "lowerdir=$run/over/$number:$directory" "$directory" 2>/dev/null
    } || echo "iptsim run: nothing can be added to $directory here: names that it lacks answer by PATH only" >&2
  done <"$run/directories"
  # Programs that exist: the shim is bound over them; the real ones stay within reach under RUN/real.
  while read -r target; do
    : >"$run/real/${target##*/}"
    mount --bind "$target" "$run/real/${target##*/}" && mount --bind "$run/shim" "$target" ||
      echo "iptsim run: nothing can stand in for $target here: it is the real one" >&2
  done <"$run/targets"
fi
if [ "$network" = own ]; then
  if [ "$mounts" = 1 ] && [ -d /sys/class/net ]; then
    # A sysfs shows the network devices of the namespace in which it was mounted; control groups stay where they are.
    mkdir "$run/cgroup"
    mount --rbind /sys/fs/cgroup "$run/cgroup" 2>/dev/null
    if mount -t sysfs sysfs /sys 2>/dev/null; then
      mount --rbind "$run/cgroup" /sys/fs/cgroup 2>/dev/null
    else
      echo "iptsim run: /sys cannot be mounted anew here: /sys/class/net shows this machine's interfaces" >&2
    fi
    umount -R -l "$run/cgroup" 2>/dev/null
  fi
  # Not every kernel has dummy devices: a bridge without ports is a device with addresses just as well.
  if ip link add name iptsim0 type dummy 2>/dev/null; then
    ip link delete iptsim0
  else
    sed -i 's/ type dummy$/ type bridge/' "$run/interfaces"
  fi
  ip -force -batch "$run/interfaces" >/dev/null 2>"$run/interfaces.errors" ||
    echo "iptsim run: not all interfaces of host.yaml could be made here: $(head -n 1 "$run/interfaces.errors")" >&2
fi
"$run/network-namespace" >"$run/namespace"

PATH=$run/bin:$PATH
export PATH
if ! command -v "$1" >/dev/null 2>&1; then
  echo "iptsim run: $1: command not found" >&2
  exit 127
fi
if [ "$network" = drop ]; then
  if setpriv --bounding-set -net_admin --inh-caps -net_admin -- true 2>/dev/null; then
    exec setpriv --bounding-set -net_admin --inh-caps -net_admin -- "$@"
  fi
  echo "iptsim run: without setpriv(1) the command keeps the right to change this machine's network" >&2
fi
exec "$@"
