# shellcheck shell=bash disable=SC2034,SC2154
# From an image to its micro image by scripts/micro-image, the recipe for CI systems, and so by micropacker build.
# Reads work, repository, containers, the names of rootless podman, and the settings of the case.

# micro_image IMAGE DIRECTORY OPTION… -- RUN_OPTION…: as whoever the engine's containers belong to.
micro_image() {
  local image=$1 given=("${podman_options[@]/#/--engine-option=}") call=(env MICROPACKER="$work/micropacker" MICRO_OUT="$2/out")
  shift 2
  if [ "$containers" = docker ]; then
    "${call[@]}" MICROPACKER_CONTAINER_ENGINE=docker "$repository/scripts/micro-image" "$image" "$@"
    return
  fi
  # Its user may not come to where the repository is.
  install -m 755 "$repository/scripts/micro-image" "$work/podman/home/micro-image"
  as_podman_user "${call[@]}" MICROPACKER_CONTAINER_ENGINE=podman "$work/podman/home/micro-image" "$image" \
    "${given[@]}" "$@"
}

# is_built CONFIGURATION: whether the case goes this way there.
is_built() { [[ " ${built_in[*]} " == *" $1 "* ]]; }

# build_in_containers CASE CONFIGURATION: as run_in_containers, by one command.
build_in_containers() {
  local original micro=micropacker-e2e/$1:micro-$$ how=() word code=0
  step 'making the image'
  original=$(import_image "$1")
  image_size "$original" >"$directory/sizes"
  remember_image "$micro"

  step 'micropacker build'
  write_exercise
  # Its containers' owner writes the answers.
  chmod 1777 "$directory"
  case $ends in
    itself) how=(--ready end --ready-timeout 120 --same-output) ;;
    # The exercise waits for what it needs.
    *) how=(--ready after:0 --exercise "bash $directory/exercise") ;;
  esac
  for word in --verbose "${tracing_options[@]}" "${tracing[@]}"; do how+=("--trace-option=$word"); done
  micro_image "$original" "$directory" --tag "$micro" --baseline --stop-timeout "$patience" "${how[@]}" \
    -- --label "$run_label" --label "$case_label" --network none "${options[@]}" \
    >"$directory/build.stdout" 2>"$directory/build.stderr" || code=$?
  [ ! -e "$out/traced.log" ] || cp "$out/traced.log" "$directory/traced.stderr"
  [ "$code" -eq 0 ] || { echo "micropacker build: status $code" >&2; return 1; }
  check_status "$(sed -n 's/.*"exit":\([0-9]*\).*/\1/p' "$out/summary.json")"
  check_outputs "$2"
  image_size "$micro" >>"$directory/sizes"
}

# write_exercise: the case's own, as a program that uses the container CID and compares what it says with the original's.
write_exercise() {
  {
    echo 'set -euo pipefail'
    declare -p directory work cache repository suite packages from_scratch port
    declare -f
    cat <<'END'
engine() { $ENGINE "$@"; }
containers=engine container=$CID log=$directory/$RUN
container_pid=$(engine inspect --format '{{.State.Pid}}' "$CID")
[ "$port" = none ] || wait_until 60 answers "$port"
exercise >"$log.answers"
[ -s "$log.answers" ] || { echo 'the case shows nothing' >&2; exit 1; }
[ "$RUN" = original ] || same_answers "$RUN"
END
  } >"$directory/exercise"
}
