# shellcheck shell=bash disable=SC2034,SC2154
# A job in Perl that ends by itself.
packages=(perl)
entrypoint=(/usr/bin/perl /app/job.pl)
changes=('ENV TZ=Europe/Berlin')
options=(--ready end --same-output)

build() {
  put "$1" /app/job.pl <<'END'
use strict; use JSON::PP; use Digest::SHA qw(sha256_hex); use POSIX qw(strftime); use Encode;
print JSON::PP->new->utf8->canonical->encode({ digest => sha256_hex("micro"), year => strftime("%Y", localtime), text => decode("UTF-8", "\xc3\xa9") }), "\n";
END
}
