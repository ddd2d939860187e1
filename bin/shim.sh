#!/bin/sh
# Stands in for the emulated tools inside `iptsim run` where there is no perl: starts iptsim for every call.
# The values between @ are filled in when the run begins.
run=@RUN@ node=@NODE@ iptsim=@IPTSIM@ state=@STATE@ real=@REAL@

name=${0##*/}
namespace=$(readlink /proc/self/ns/net 2>/dev/null)
namespace=${namespace#net:[}
namespace=${namespace%]}
if [ "$name" = network-namespace ]; then
  echo "$namespace"
  exit 0
fi
multi=
case $name in
xtables-multi | xtables-nft-multi | xtables-legacy-multi)
  if [ $# -gt 0 ]; then
    multi=$name
    name=${1##*/}
    shift
    case $multi in
    xtables-nft-multi) export IPTSIM_VARIANT=nft ;;
    xtables-legacy-multi) export IPTSIM_VARIANT=legacy ;;
    esac
  fi
  ;;
esac
case ${name#ip6tables} in "$name") plain=${name#iptables} ;; *) plain=${name#ip6tables} ;; esac
case $plain in
'' | -save | -restore | -legacy | -legacy-save | -legacy-restore | -nft | -nft-save | -nft-restore | -xml | -apply | ipset | conntrack) ;;
*)
  # One of the other names of a program with many (ebtables, iptables-translate): nothing stands in for it.
  if [ "$real" = 0 ]; then
    echo "iptsim run: $name is not simulated, and the real one would reach this machine's firewall" >&2
    exit 1
  fi
  case $multi$name in *legacy*) program=xtables-legacy-multi ;; *) program=xtables-nft-multi ;; esac
  if [ -e "$run/real/$name" ]; then exec "$run/real/$name" "$@"; fi
  exec "$run/real/$program" "$name" "$@"
  ;;
esac
if [ -z "$IPTSIM_DIR" ] || [ "$IPTSIM_DIR" = "$state" ]; then
  IPTSIM_DIR=$state
  own=
  read -r own 2>/dev/null <"$run/namespace"
  [ "$namespace" = "$own" ] || IPTSIM_DIR=$state/netns/$namespace
  export IPTSIM_DIR
fi
exec "$node" "$iptsim" "$name" "$@"
