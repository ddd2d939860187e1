#!/bin/sh
# Collects what iptsim needs to know of this machine's network into a directory; `iptsim import DIRECTORY` reads it.
#
#   ssh root@router 'sh -s - /tmp/router' < iptsim-collect.sh && scp -r root@router:/tmp/router .
#
# Only reads. Needs nothing but a POSIX shell; what is not installed is noted in DIRECTORY/collected and left out.
# Keys and cookies among the sysctls are left out too.
# Exit status: 0 all there is was read; 1 something could not be read (not root?), or `ip` is missing; 2 wrong usage.
set -u
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin

case ${1-} in
  -h | --help)
    echo 'Usage: sh iptsim-collect.sh [DIRECTORY]     (default: iptsim-HOSTNAME here; it must not exist or be empty)'
    exit 0
    ;;
  -*)
    echo "iptsim-collect: unknown option $1; usage: sh iptsim-collect.sh [DIRECTORY]" >&2
    exit 2
    ;;
esac
if [ $# -gt 1 ]; then
  echo 'iptsim-collect: one directory; usage: sh iptsim-collect.sh [DIRECTORY]' >&2
  exit 2
fi

name=$(cat /proc/sys/kernel/hostname 2>/dev/null || uname -n)
dir=${1:-iptsim-$name}
umask 077
mkdir -p "$dir" || exit 2
if [ -n "$(ls -A "$dir")" ]; then
  echo "iptsim-collect: $dir is not empty" >&2
  exit 2
fi
note=$dir/collected
status=0

# One line for each thing asked: STATUS FILE COMMAND, with STATUS ok, missing, absent or failed.
say() {
  echo "$1 $2 $3" >>"$note"
}

# take FILE COMMAND...: what the command prints.
take() {
  file=$1
  shift
  if ! command -v "$1" >/dev/null 2>&1; then
    say missing "$file" "$*"
    return 1
  fi
  if "$@" >"$dir/$file" 2>"$dir/.error" </dev/null; then
    say ok "$file" "$*"
    return 0
  fi
  say failed "$file" "$*: $(head -n 1 "$dir/.error")"
  echo "iptsim-collect: $* failed: $(head -n 1 "$dir/.error")" >&2
  rm -f "$dir/$file"
  status=1
  return 1
}

# need FILE COMMAND...: the same, and without it the directory cannot be read.
need() {
  take "$@" && return 0
  command -v "$2" >/dev/null 2>&1 || echo "iptsim-collect: $2 is not installed: iptsim cannot read the directory without it" >&2
  status=1
}

# keep FILE PATH: a copy of a file, if there is one.
keep() {
  if [ -r "$2" ]; then
    cat "$2" >"$dir/$1" && say ok "$1" "cat $2"
  else
    say absent "$1" "cat $2"
  fi
}

echo "iptsim-collect 1" >"$note"
echo "$name" >"$dir/hostname"
say ok hostname hostname
date -u +%s >"$dir/time"
say ok time 'date -u +%s'
take uname uname -a

need ip-link.json ip -j -d link show
need ip-addr.json ip -j addr show
need ip-route.json ip -4 -j route show table all
need ip-rule.json ip -4 -j rule show
take ip-neigh.json ip -j neigh show
if [ -e /proc/net/if_inet6 ]; then
  need ip-6-route.json ip -6 -j route show table all
  need ip-6-rule.json ip -6 -j rule show
else
  say absent ip-6-route.json 'IPv6 is not in this kernel'
fi
for table in rt_tables group rt_realms; do
  if [ -r /etc/iproute2/$table ]; then keep $table /etc/iproute2/$table; else keep $table /usr/share/iproute2/$table; fi
done
for more in /etc/iproute2/rt_tables.d/*.conf /usr/share/iproute2/rt_tables.d/*.conf; do
  [ -r "$more" ] && cat "$more" >>"$dir/rt_tables"
done

if [ -d /sys/class/net ] && ls -d /sys/class/net/*/bridge >/dev/null 2>&1; then
  take bridge-link.json bridge -j -d link show
  take bridge-fdb.json bridge -j fdb show
  take bridge-vlan.json bridge -j vlan show
else
  say absent bridge-link.json 'there is no bridge'
fi

# `sysctl -a` ends with an error for settings that can only be written.
if command -v sysctl >/dev/null 2>&1; then
  sysctl -a 2>/dev/null | grep '^net\.' | grep -v -e '\.stable_secret' -e fastopen_key -e '_hmac_alg' >"$dir/sysctl"
  say ok sysctl 'sysctl -a'
else
  find /proc/sys/net -type f 2>/dev/null | while read -r path; do
    case $path in *stable_secret | *fastopen_key*) continue ;; esac
    value=$(head -n 1 "$path" 2>/dev/null) && echo "${path#/proc/sys/} = $value"
  done >"$dir/sysctl"
  say ok sysctl 'find /proc/sys/net'
fi
if [ ! -s "$dir/sysctl" ]; then
  echo 'iptsim-collect: no sysctl could be read' >&2
  say failed sysctl 'sysctl -a'
  status=1
fi

# The legacy tools would load their modules: they are asked only where those are at work.
for family in '' 6; do
  tool=ip${family}tables
  default=nft
  if command -v $tool >/dev/null 2>&1; then
    take ${tool}-version $tool -V
    grep -q legacy "$dir/${tool}-version" 2>/dev/null && default=legacy
    # Before 1.8 there was no nft variant and no word of it in the version.
    grep -q -e legacy -e nf_tables "$dir/${tool}-version" 2>/dev/null || default=legacy
  fi
  nft=${tool}-nft-save
  legacy=${tool}-legacy-save
  command -v $nft >/dev/null 2>&1 || { [ $default = nft ] && nft=${tool}-save; }
  command -v $legacy >/dev/null 2>&1 || { [ $default = legacy ] && legacy=${tool}-save; }
  if command -v $nft >/dev/null 2>&1; then
    take ${tool}-nft-save $nft -c
  else
    say missing ${tool}-nft-save "$nft -c"
  fi
  if [ ! -s /proc/net/ip${family}_tables_names ]; then
    say absent ${tool}-legacy-save "no legacy table is in use"
  elif command -v $legacy >/dev/null 2>&1; then
    take ${tool}-legacy-save $legacy -c
  else
    say failed ${tool}-legacy-save "$legacy -c: legacy tables are in use, but the tool is not installed"
    echo "iptsim-collect: legacy tables of IPv${family:-4} are in use, but $legacy is not installed" >&2
    status=1
  fi
done
if [ -e /proc/net/netfilter ] && command -v nft >/dev/null 2>&1; then
  take nft-tables nft list tables
fi
if [ -d /sys/module/ip_set ] || ! [ -d /sys/module ]; then
  take ipset-save ipset save
else
  say absent ipset-save 'ip_set is not in the kernel'
fi

if [ -e /proc/sys/net/netfilter/nf_conntrack_count ]; then
  # Of both families; older tools do not know this form.
  if conntrack -L -o save >"$dir/conntrack-save" 2>/dev/null; then
    say ok conntrack-save 'conntrack -L -o save'
  else
    rm -f "$dir/conntrack-save"
    take conntrack conntrack -L -o extended || keep conntrack /proc/net/nf_conntrack
  fi
else
  say absent conntrack 'no connections are tracked'
fi
take sockets ss -H -l -n -t -u

rm -f "$dir/.error"
if [ $status -eq 0 ]; then
  echo "$dir: collected" >&2
else
  echo "$dir: not complete; $note tells what is missing" >&2
fi
exit $status
