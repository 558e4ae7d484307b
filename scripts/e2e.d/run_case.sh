# shellcheck shell=bash disable=SC2034,SC2154
# One case in one configuration, from its image to its micro image. Runs in a subshell with set -e; the step it died in is in a file.
#
# A case file (cases/NAME.sh) sets
#   packages=(…)       Debian packages in its image; or from_scratch=yes
#   entrypoint=(…)     what its image starts
#   changes=(…)        further lines of a Dockerfile for the image (ENV, WORKDIR, …)
#   port=N             where it answers; ends=stopped (by docker stop), ends=killed (by docker kill) or ends=itself
#   built_in=(…)       the configurations in which it goes by micropacker build (by_build.sh), which asks for no more than
#                      that the micro image does the same; by hand in all others
#   patience=SECONDS   how long docker stop waits before it kills
#   status=N           the exit status it ends with
#   tracing=(…)        options of micropacker for it, and traced_options=(…) of its container
#   guessed=(…)        the lines EXPOSE and VOLUME that are guessed of it in a container without options
#   absent=(…)         paths that the micro image must not have
#   user=UID:GID       an ordinary user as whom it works too
#   capless=yes        it works as root without any capability
#   docker_options=(…) further options for Docker's containers (health checks, which podman leaves to systemd)
#   read_only=no       it writes where a tmpfs would hide what it needs
#   writable=(…)       where it must write, when its user or its file system would not allow it
#   plainly=no         it gives other answers where a container has other options
#   explained=(…)      patterns 'CONFIGURATION PATH', with the reason as a comment: what full privileges
#                      ship and this configuration rightly does not
#   gains=(…)          set-user-ID programs that it starts as an ordinary user, and gains_in=(…) the
#                      configurations that keep their meaning: elsewhere each one must be told
# and defines
#   build TREE         puts its own files into the image's tree
#   exercise           uses the service from outside; what it prints must be the same every time
#   prepare_traced IMAGE          optional: what the traced run finds in $out
#   compare_traced CONFIGURATION  optional: more that must be true of its traced run against the original
#   further_checks     optional: more to be done with its outputs, in $out, in the configurations checked_in (default: plain)

step() { echo "$1" >"$directory/step"; }

# load_case NAME: its settings and functions.
load_case() {
  packages=() changes=() docker_options=() absent=() writable=() explained=() gains=() gains_in=() tracing=() traced_options=() guessed=()
  port=8080 ends=stopped patience=60 status=0 user='' capless=no read_only=yes from_scratch=no plainly=yes
  checked_in=(plain) built_in=()
  prepare_traced() { :; }
  compare_traced() { :; }
  further_checks() { :; }
  # shellcheck source=/dev/null
  . "$cases_directory/$1.sh"
}

# import_image CASE: makes its image, once for each engine; prints its name.
import_image() {
  local options=() line archive
  local image=micropacker-e2e/$1:original-$$ imported=$work/$1/imported-$containers
  if [ ! -e "$imported" ]; then
    for line in "${changes[@]}" "ENTRYPOINT $(json_array "${entrypoint[@]}")"; do
      options+=(--change "$line")
    done
    archive=$(case_rootfs "$1")
    "$containers" import "${options[@]}" - "$image" <"$archive" >/dev/null
    remember_image "$image"
    touch "$imported"
  fi
  echo "$image"
}

# json_array WORD…: the cases' words hold no quotes or backslashes.
json_array() {
  local text
  printf -v text '"%s",' "$@"
  echo "[${text%,}]"
}

# use_container NAME: exercises the started container until its end and keeps what was seen.
use_container() {
  log=$directory/$1
  if ! { [ "$port" = none ] || wait_until 60 answers "$port"; }; then
    echo "the container does not answer on port $port" >&2
    return 1
  fi
  exercise >"$log.answers"
  end_container "$log"
  check_status "$(exit_status)"
  [ "$ends" = stopped ] || cat "$log.stdout" >>"$log.answers"
}

check_status() { [ "$1" = "$status" ] || { echo "exit status $1, expected $status" >&2; return 1; }; }

# What the container that was used last printed, when the case died before it was kept.
save_unsaved_logs() { [ -z "$log" ] || [ -e "$log.state" ] || save_logs "$log"; }

# same_answers NAME: as the original gave.
same_answers() { diff -u "$directory/original.answers" "$directory/$1.answers" >&2; }

image_size() { "$containers" image inspect --format '{{.Size}}' "$1"; }

# load_image ARCHIVE: prints the name or id it was loaded under.
load_image() {
  "$containers" load <"$1" | sed -n 's/^Loaded image\( ID\)\{0,1\}: //p' | tail -n 1
}

# run_case CASE CONFIGURATION
run_case() {
  directory=$work/$1/$2 out=$work/$1/$2/out log=''
  mkdir -p "$out"
  # A user of the container's writes here.
  chmod 1777 "$out"
  load_case "$1"
  step 'the configuration'
  configure "$1" "$2"
  [ ! -e "$directory/skipped" ] || return 0
  if [ "$containers" = none ]; then
    run_on_host "$1" "$2"
  elif is_built "$2"; then
    build_in_containers "$1" "$2"
  else
    run_in_containers "$1" "$2"
  fi
  step 'what is shipped'
  none_missing "$2"
  [[ " ${checked_in[*]} " != *" $2 "* ]] || further_checks
}

run_in_containers() {
  local original micro
  trap 'save_unsaved_logs' EXIT

  step 'making the image'
  original=$(import_image "$1")
  image_size "$original" >"$directory/sizes"

  step 'original'
  start_container "$original" "${options[@]}"
  use_container original
  [ -s "$directory/original.answers" ] || { echo 'the case shows nothing' >&2; return 1; }

  step 'traced'
  prepare_traced "$original"
  start_container "$original" "${options[@]}" "${traced_options[@]}" \
    --volume "$work/micropacker:/micropacker:ro" --volume "$out:/out" --entrypoint /micropacker \
    -- --verbose --output /out/rootfs.tar --artifacts /out "${tracing_options[@]}" "${tracing[@]}" -- "${entrypoint[@]}"
  use_container traced
  if ! are_gained_in "$2"; then
    losses_of_gains
    check_outputs "$2"
    return 0
  fi
  same_answers traced
  compare_traced "$2"
  check_outputs "$2"

  step 'loading'
  micro=$(load_image "$out/image.tar")
  [ -n "$micro" ] || { echo 'the engine named no image when it loaded ours' >&2; return 1; }
  remember_image "$micro"
  image_size "$micro" >>"$directory/sizes"
  [[ $2 != @(plain|rootless) ]] || same_guesses "$micro"

  step 'micro image'
  start_container "$micro" "${options[@]}"
  use_container micro
  same_answers micro
  is_started_plainly "$2" || return 0
  step 'micro image, started plainly'
  start_container "$micro"
  use_container micro-plain
  same_answers micro-plain
}

# same_guesses IMAGE: it has what is guessed of the case, and its Dockerfile says the same, each line marked.
same_guesses() {
  [ ${#guessed[@]} -gt 0 ] || return 0
  step 'what is guessed'
  printf '%s\n' "${guessed[@]}" | LC_ALL=C sort >"$directory/guesses"
  # The dollars are the template's.
  # shellcheck disable=SC2016
  "$containers" image inspect --format '{{range $port, $_ := .Config.ExposedPorts}}EXPOSE {{$port}}
{{end}}{{range $place, $_ := .Config.Volumes}}VOLUME {{$place}}
{{end}}' "$1" | sed '/^$/d' | LC_ALL=C sort | diff -u "$directory/guesses" - >&2
  sed -n '/^# Guessed: /{n; s/^VOLUME \["\(.*\)"\]$/VOLUME \1/; /^EXPOSE\|^VOLUME/p}' "$out/Dockerfile" |
    LC_ALL=C sort | diff -u "$directory/guesses" - >&2
}

# check_outputs CONFIGURATION: all are there, and the tarball lacks what must be absent.
check_outputs() {
  local path
  step 'outputs'
  for path in rootfs.tar image.tar Dockerfile; do
    [ -s "$out/$path" ] || { echo "no $path was written" >&2; return 1; }
  done
  tar --list --file "$out/rootfs.tar" | LC_ALL=C sort >"$directory/entries"
  list_missing "$1"
  for path in "${absent[@]}"; do
    ! grep -Fx "${path#/}" "$directory/entries" >&2 || { echo "$path should not be there" >&2; return 1; }
  done
  check_packages "$1"
}

# check_packages CONFIGURATION: scanners see the packages that the lists tell; a real one is asked once for each case.
check_packages() {
  local scanner=()
  step 'what scanners read'
  [ "$1" != plain ] || scanner=(--syft "$checkers/bin/syft")
  "$repository/scripts/check-image-packages" "${scanner[@]}" "$out" >"$directory/packages"
}

# show_logs CASE CONFIGURATION: what its containers printed.
show_logs() {
  local file
  for file in "$work/$1/$2"/{original,traced,micro,micro-plain,build,built}.{stdout,stderr,state}; do
    [ -s "$file" ] || continue
    printf -- '--- %s\n' "$1/$2/${file##*/}"
    tail -n 30 "$file"
  done >&2
}

show_failure() {
  say "$1, $2: failed: $(cat "$work/$1/$2/step")"
  [ "$verbose" = yes ] || show_logs "$1" "$2"
}

# engine_of CASE CONFIGURATION: the tracing engine micropacker says it used, when it says.
engine_of() {
  local engine
  engine=$(sed -n 's/^micropacker: .*; traced by //p' "$work/$1/$2/traced.stderr" 2>/dev/null | tail -n 1) || true
  echo "${engine:--}"
}

# files_in ENTRIES: how many of them are no directories.
files_in() { if [ -e "$1" ]; then grep -vc '/$' "$1"; else echo -; fi; }

# table_row CASE RESULT
table_row() {
  local sizes=() directory=$work/$1/plain
  [ ! -e "$directory/sizes" ] || mapfile -t sizes <"$directory/sizes"
  awk -v name="$1" -v result="$2" -v engine="$(engine_of "$1" plain)" -v files="$(files_in "$directory/entries")" \
    -v original="${sizes[0]:-0}" -v micro="${sizes[1]:-0}" 'BEGIN {
      size = micro ? sprintf("%.1f", micro / 1e6) : "-"
      ratio = micro ? sprintf("%.1f", original / micro) : "-"
      printf "%s\t%.1f\t%s\t%s\t%s\t%s\t%s\n", name, original / 1e6, size, ratio, files, engine, result
    }'
}
