# shellcheck shell=bash disable=SC2034,SC2154
# One case from its image to its micro image. Runs in a subshell with set -e; the step it died in is in a file.
#
# A case file (cases/NAME.sh) sets
#   packages=(…)       Debian packages in its image; or from_scratch=yes
#   entrypoint=(…)     what its image starts
#   changes=(…)        further lines of a Dockerfile for the image (ENV, WORKDIR, …)
#   port=N             where it answers; ends=stopped (by docker stop) or ends=itself
#   status=N           the exit status it ends with
#   absent=(…)         paths that the micro image must not have
# and defines
#   build TREE         puts its own files into the image's tree
#   exercise           uses the service from outside; what it prints must be the same every time
#   further_checks     optional: more to be done with its outputs, in $out

step() { echo "$1" >"$directory/step"; }

# The image's configuration as docker import takes it.
import_image() {
  local options=() line
  for line in "${changes[@]}" "ENTRYPOINT $(json_array "${entrypoint[@]}")"; do
    options+=(--change "$line")
  done
  docker import "${options[@]}" "$1" "$2" >/dev/null
  remember_image "$2"
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
  [ "$(exit_status)" = "$status" ] || {
    echo "exit status $(exit_status), expected $status" >&2
    return 1
  }
  [ "$ends" = stopped ] || cat "$log.stdout" >>"$log.answers"
}

# What the container that was used last printed, when the case died before it was kept.
save_unsaved_logs() { [ -z "$log" ] || [ -e "$log.state" ] || save_logs "$log"; }

# same_answers NAME: as the original gave.
same_answers() { diff -u "$directory/original.answers" "$directory/$1.answers" >&2; }

image_size() { docker image inspect --format '{{.Size}}' "$1"; }

# load_image ARCHIVE: prints the name or id it was loaded under.
load_image() {
  docker load --input "$1" | sed -n 's/^Loaded image\( ID\)\{0,1\}: //p' | tail -n 1
}

run_case() {
  directory=$work/$1 out=$work/$1/out
  local original=micropacker-e2e/$1:original-$$ micro rootfs path
  mkdir -p "$out"
  log=''
  packages=() changes=() absent=() port=8080 ends=stopped status=0
  further_checks() { :; }
  # shellcheck source=/dev/null
  . "$cases_directory/$1.sh"
  trap 'save_unsaved_logs' EXIT

  step 'making the image'
  rootfs=$(case_rootfs "$1")
  import_image "$rootfs" "$original"
  image_size "$original" >"$directory/sizes"

  step 'original'
  start_container "$original"
  use_container original
  [ -s "$directory/original.answers" ] || { echo 'the case shows nothing' >&2; return 1; }

  step 'traced'
  start_container "$original" --volume "$work/micropacker:/micropacker:ro" --volume "$out:/out" \
    --entrypoint /micropacker \
    -- --output /out/rootfs.tar --artifacts /out "${tracing_options[@]}" -- "${entrypoint[@]}"
  use_container traced
  same_answers traced

  step 'outputs'
  for path in rootfs.tar image.tar Dockerfile; do
    [ -s "$out/$path" ] || { echo "no $path was written" >&2; return 1; }
  done
  tar --list --file "$out/rootfs.tar" >"$directory/entries"
  for path in "${absent[@]}"; do
    ! grep -Fx "${path#/}" "$directory/entries" >&2 || { echo "$path should not be there" >&2; return 1; }
  done

  step 'loading'
  micro=$(load_image "$out/image.tar")
  [ -n "$micro" ] || { echo 'docker load named no image' >&2; return 1; }
  remember_image "$micro"
  image_size "$micro" >>"$directory/sizes"

  step 'micro image'
  start_container "$micro"
  use_container micro
  same_answers micro

  step 'further checks'
  further_checks
}

# show_logs CASE: what its containers printed.
show_logs() {
  local file
  for file in "$work/$1"/{original,traced,micro,built}.{stdout,stderr,state}; do
    [ -s "$file" ] || continue
    printf -- '--- %s\n' "$1/${file##*/}"
    tail -n 30 "$file"
  done >&2
}

show_failure() {
  say "$1: failed: $(cat "$work/$1/step")"
  [ "$verbose" = yes ] || show_logs "$1"
}

# engine_of CASE: the tracing engine micropacker says it used, when it says.
engine_of() {
  local engine
  engine=$(grep -ohiE 'user notification|(seccomp|system call) stops' "$work/$1/traced.stderr" 2>/dev/null | head -n 1) || true
  echo "${engine:--}"
}

# table_row CASE RESULT
table_row() {
  local sizes=() entries=-
  [ ! -e "$work/$1/sizes" ] || mapfile -t sizes <"$work/$1/sizes"
  [ ! -e "$work/$1/entries" ] || entries=$(grep -vc '/$' "$work/$1/entries")
  awk -v name="$1" -v result="$2" -v engine="$(engine_of "$1")" -v files="$entries" \
    -v original="${sizes[0]:-0}" -v micro="${sizes[1]:-0}" 'BEGIN {
      size = micro ? sprintf("%.1f", micro / 1e6) : "-"
      ratio = micro ? sprintf("%.1f", original / micro) : "-"
      printf "%s\t%.1f\t%s\t%s\t%s\t%s\t%s\n", name, original / 1e6, size, ratio, files, engine, result
    }'
}
