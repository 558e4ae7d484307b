# shellcheck shell=bash disable=SC2154
# The image's archive, in each of its compressions, in every tool that loads one. Reads work, out and directory.

# check_archives INSPECT: of the rootfs.tar in $out, with the configuration in the file INSPECT.
check_archives() {
  local compression archive name
  for compression in none gzip zstd; do
    archive=$directory/image-$compression.tar name=micropacker-e2e/archive-$compression-$$:made
    step "image --compress $compression"
    # Docker does not read a layer that it has already.
    cp "$out/rootfs.tar" "$directory/rootfs.tar"
    echo "$name" >"$directory/unique.txt"
    tar --append --directory "$directory" --file "$directory/rootfs.tar" unique.txt
    make_archive "$1" "$compression" "$name" "$archive"
    make_archive "$1" "$compression" "$name" "$archive.again"
    cmp "$archive" "$archive.again"
    loads_in_docker "$archive" "$compression" "$name"
    step "podman load, $compression"
    podman_here load --quiet --input "$archive" >"$directory/podman"
    grep -q 'Loaded image' "$directory/podman"
    is_read_by_skopeo "$archive" "$compression"
    is_imported_by_containerd "$archive" "$name"
  done
}

# make_archive INSPECT COMPRESSION NAME ARCHIVE
make_archive() {
  "$work/micropacker" image --quiet --rootfs "$directory/rootfs.tar" --image-config "$1" --compress "$2" --tag "$3" --output "$4"
}

# loads_in_docker ARCHIVE COMPRESSION NAME: Docker knows zstd from 23.0 on; an older one must refuse it as a whole.
loads_in_docker() {
  local version
  step "docker load, $2"
  version=$(docker version --format '{{.Server.Version}}')
  if [ "$2" = zstd ] && [ "${version%%.*}" -lt 23 ]; then
    docker load --input "$1" >"$directory/docker" 2>&1 || true
    ! grep 'Loaded image' "$directory/docker" >&2
    return
  fi
  docker load --input "$1" >"$directory/docker"
  remember_image "$3"
  start_container "$3"
  use_container "archive-$2"
  same_answers "archive-$2"
}

# It takes no run root of more than 50 characters.
podman_here() {
  podman --runtime runc --storage-driver vfs --root "$work/podman-root" --runroot "$work/podman-run" "$@"
}

# is_read_by_skopeo ARCHIVE COMPRESSION: in both of its forms; its own copy has the digests that we have written.
is_read_by_skopeo() {
  local digest form copy options
  digest=$(tar --extract --to-stdout --file "$1" index.json | first_digest)
  for form in oci-archive docker-archive; do
    step "skopeo, $form, $2"
    skopeo inspect "$form:$1" >"$directory/skopeo"
    copy=$directory/copy-$2-$form
    # It would compress a layer that is not, and docker-archives have no digests of their own.
    options=(--preserve-digests)
    [ "$form" = oci-archive ] || options=()
    skopeo copy --quiet "${options[@]}" "$form:$1" "oci:$copy:copied"
    first_digest <"$copy/index.json" >"$copy.digest"
  done
  [ "$(cat "$directory/copy-$2-oci-archive.digest")" = "$digest" ] || { echo "skopeo copies another image" >&2; return 1; }
}

first_digest() { grep --only-matching --max-count 1 'sha256:[0-9a-f]*' | head -n 1; }

# is_imported_by_containerd ARCHIVE NAME: into a namespace of its own in the containerd that the Docker engine has brought along.
is_imported_by_containerd() {
  local socket name=docker.io/$2
  for socket in "$work/engine-run/containerd/containerd.sock" /run/docker/containerd/containerd.sock /run/containerd/containerd.sock; do
    [ ! -S "$socket" ] || break
  done
  if ! { [ -S "$socket" ] && command -v ctr >/dev/null; }; then
    say 'no containerd is reached here: not tried'
    return
  fi
  step "ctr import, $1"
  ctr --address "$socket" --namespace micropacker-e2e images import "$1" >"$directory/ctr" 2>&1 ||
    { cat "$directory/ctr" >&2; return 1; }
  ctr --address "$socket" --namespace micropacker-e2e images list --quiet >"$directory/ctr.images"
  ctr --address "$socket" --namespace micropacker-e2e images remove "$name" "$2" >/dev/null 2>&1 || true
  grep -q "${2%:*}" "$directory/ctr.images"
}
