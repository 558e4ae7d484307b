# shellcheck shell=bash disable=SC2154
# Root file systems: Debian's by debootstrap, with packages and a case's own files, as cached tar archives.
# Reads cache, work.

suite=bookworm

# debian_mirror: where this machine gets its Debian packages; nothing when it is no Debian.
debian_mirror() {
  # apt-get expands the dollars.
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(SITE) $(RELEASE)' 'Created-By: Packages' 2>/dev/null |
    awk -v suite="$suite" '$2 == suite { print $1; exit }'
}

# base_rootfs: makes the archive of a minimal Debian; prints its name.
base_rootfs() {
  local archive mirror
  archive=$cache/$suite-$(dpkg --print-architecture).tar
  if [ ! -e "$archive" ]; then
    mirror=${MICROPACKER_E2E_MIRROR:-$(debian_mirror)}
    say "making a minimal $suite (debootstrap)"
    # No mirror named means debootstrap's own choice.
    debootstrap --variant=minbase "$suite" "$work/base" ${mirror:+"$mirror"} >"$work/debootstrap.log" 2>&1 ||
      { tail -n 20 "$work/debootstrap.log" >&2; return 1; }
    rm -rf "$work"/base/var/cache/apt/archives/*.deb
    pack_tree "$work/base" "$archive"
    rm -rf "$work/base"
  fi
  echo "$archive"
}

# pack_tree TREE ARCHIVE: the archive has its name only when it is whole.
pack_tree() {
  tar --create --numeric-owner --xattrs --directory "$1" --file "$2.$$" .
  mv "$2.$$" "$2"
}

# case_rootfs CASE: the archive of a case's root file system; prints its name. The case's functions are loaded.
case_rootfs() {
  local tree=$work/$1/tree base='' recipe archive
  recipe=$({
    echo "${packages[@]}"
    declare -f build
    cat "$repository"/scripts/e2e.d/{rootfs.sh,static_server.c} "$repository"/tests/transparency/*.[ch]
  } | sha256sum | cut -c 1-16)
  archive=$cache/$1-$recipe.tar
  if [ ! -e "$archive" ]; then
    mkdir -p "$tree"
    if [ "${from_scratch:-no}" = no ]; then
      base=$(base_rootfs)
      tar --extract --numeric-owner --xattrs --directory "$tree" --file "$base"
      [ ${#packages[@]} -eq 0 ] || install_into "$tree" "${packages[@]}" >"$work/$1/install.log" 2>&1 ||
        { tail -n 20 "$work/$1/install.log" >&2; return 1; }
    fi
    build "$tree"
    rm -f "$cache/$1-"*.tar
    pack_tree "$tree" "$archive"
    rm -rf --one-file-system "$tree"
  fi
  echo "$archive"
}

# install_into TREE PACKAGE…: in a mount namespace of its own, so that no mount outlives it.
install_into() {
  local tree=$1
  shift
  cp /etc/resolv.conf "$tree/etc/resolv.conf"
  printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
  chmod 755 "$tree/usr/sbin/policy-rc.d"
  # The inner shell expands the dollars.
  # shellcheck disable=SC2016
  DEBIAN_FRONTEND=noninteractive LC_ALL=C unshare --mount sh -euc '
    tree=$1
    shift
    mount -t proc proc "$tree/proc"
    chroot "$tree" apt-get -qq update
    chroot "$tree" apt-get -qq --yes --no-install-recommends install "$@"
    chroot "$tree" apt-get -qq clean
  ' install "$tree" "$@"
  rm -rf "$tree"/var/lib/apt/lists/* "$tree/usr/sbin/policy-rc.d" "$tree/etc/resolv.conf"
}

# put TREE PATH [MODE]: a file of the image from standard input.
put() {
  mkdir -p "$1$(dirname "$2")"
  cat >"$1$2"
  chmod "${3:-644}" "$1$2"
}
