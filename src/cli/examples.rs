//! What stands at the end of each subcommand's help: calls that work as they stand.

pub(super) const RUN: &str = "\
Examples:
  docker run --entrypoint /micropacker -v \"$PWD/micropacker:/micropacker:ro\" -v \"$PWD/out:/out\" \\
      nginx run -o /out/rootfs.tar --artifacts /out -- nginx -g 'daemon off;'
  micropacker run -o sort.tar -- sort /etc/passwd

Exit status: the application's own (128+N when signal N ended it); 2 usage, 125 outputs could not be \
written, 126 the command could not be run or traced, 127 it was not found.";

pub(super) const BUILD: &str = "\
Examples:
  micropacker build nginx --http requests.txt
  micropacker build app:1.0 --tag app:micro --exercise ./test.sh --fix -- --env MODE=test
  micropacker build job --ready end --same-output

Exit status: 0 the micro image is there and does what the original does; 1 it does not; 2 usage; \
125 no image could be made; 126 the original could not be run; 127 no engine, or no such image.";

pub(super) const EXEC: &str = "\
Example:
  docker exec CONTAINER /micropacker exec -- nginx -t";

pub(super) const CTL: &str = "\
Examples:
  docker exec CONTAINER /micropacker ctl status
  docker exec CONTAINER /micropacker ctl stop --wait";

pub(super) const PACK: &str = "\
Examples:
  micropacker pack -i files.txt -o rootfs.tar
  micropacker pack -i a/report.json -i b/report.json -i c.journal --artifacts out
  micropacker pack --root tree --journal rootfs.tar.journal";

pub(super) const IMAGE: &str = "\
Example:
  docker image inspect nginx >inspect.json
  micropacker image --rootfs rootfs.tar --image-config inspect.json --tag nginx-micro -o image.tar
  docker load --input image.tar";

pub(super) const PROBE: &str = "\
Example:
  micropacker probe --listen 80 --http requests.txt";

pub(super) const ELF: &str = "\
Example:
  micropacker elf /usr/bin/python3";

pub(super) const EXPLAIN: &str = "\
Examples:
  micropacker explain out/report.json /usr/lib/x86_64-linux-gnu/libm.so.6
  micropacker explain --json out/report.json /etc/passwd /bin/sh

Exit status: 0 all paths are in the image, 1 one is not, 2 the report cannot be read.";

pub(super) const DIFF: &str = "\
Example:
  micropacker diff monday/report.json tuesday/report.json

Exit status: 0 nothing differs, 1 something does, 2 a report cannot be read.";

pub(super) const COMPLETIONS: &str = "\
Example:
  micropacker completions bash >/usr/share/bash-completion/completions/micropacker";

pub(super) const MAN: &str = "\
Examples:
  micropacker man run | man -l -
  micropacker man --all /usr/local/share/man/man1";
