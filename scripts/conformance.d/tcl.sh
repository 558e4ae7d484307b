# shellcheck shell=bash disable=SC2034,SC2154
# Tcl's own tests, from the source of the package that is installed: pipelines, channels, sockets, events, files.

modules=(exec pid event timer io ioCmd ioTrans iogt chan chanio socket http fCmd unixFCmd unixFile cmdAH fileName
  fileSystem env source pkgMkIndex main)

prepare() {
  local version
  version=$(dpkg-query --show --showformat '${source:Version}' tcl8.6)
  tcl_tests=${XDG_CACHE_HOME:-${HOME:?}/.cache}/micropacker-conformance/tcl8.6-$version
  [ -e "$tcl_tests" ] || fetch_tests "$version"
}

# fetch_tests VERSION: with a list of sources of our own; the machine's may lack them and stays as it is.
fetch_tests() {
  local apt=$scratch/apt options signed='' keyring=/usr/share/keyrings/debian-archive-keyring.gpg suite
  # shellcheck source=scripts/e2e.d/rootfs.sh
  . "$repository/scripts/e2e.d/rootfs.sh"
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  say "fetching the source of tcl8.6 $1"
  mkdir -p "$apt"/{lists/partial,cache/archives/partial,source}
  [ ! -e "$keyring" ] || signed="[signed-by=$keyring] "
  echo "deb-src $signed$(debian_mirror) $suite main" >"$apt/sources.list"
  options=(-o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o APT::Sandbox::User=root
    -o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache")
  apt-get -qq "${options[@]}" update
  (cd "$apt/source" && apt-get -qq "${options[@]}" source --download-only "tcl8.6=$1") ||
    die "no source of tcl8.6 $1 at $(debian_mirror): apt-get install tcl8.6 takes the newest"
  mkdir "$apt/tests"
  tar --extract --wildcards --strip-components 2 --directory "$apt/tests" \
    --file "$apt"/source/*.orig.tar.* '*/tests/*'
  mkdir -p "$(dirname "$tcl_tests")"
  mv "$apt/tests" "$tcl_tests"
}

# command_of MODULE: in a copy of its own, since the tests write beside themselves.
command_of() {
  place=$scratch/tests
  [ -e "$place" ] || cp -r "$tcl_tests" "$place"
  mkdir -p "$scratch/tmp"
  words=(tclsh8.6 "$1.test" -verbose psbe -tmpdir "$scratch/tmp")
}

# verdicts FILE: each test's name and how it ended, sorted.
verdicts() {
  awk '
    $1 == "++++" && match($0, / (PASSED|SKIPPED)/) { print $2, substr($0, RSTART + 1, RLENGTH - 1) }
    $1 == "====" && /FAILED$/ { print $2, "FAILED" }
  ' "$1" | sort
}
