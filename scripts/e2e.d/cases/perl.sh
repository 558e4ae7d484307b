# shellcheck shell=bash disable=SC2034,SC2154
# A perl batch job: modules loaded at run time, a helper program in a pipe, a report on standard output.

packages=(perl)
entrypoint=(/usr/bin/perl -w /batch/report.pl /batch/input.csv)
built_in=(plain)
changes=('WORKDIR /batch')
port=none
ends=itself
user=1000:1000
capless=yes
absent=(/usr/bin/dpkg /elsewhere/unused.csv /usr/bin/bash /bin/bash)

build() {
  put "$1" /batch/report.pl <<'END'
use strict;
use warnings;
use POSIX qw(strftime);

my %total;
open my $input, '<', $ARGV[0] or die "$ARGV[0]: $!";
while (<$input>) {
    chomp;
    my ($name, $amount) = split /,/;
    $total{$name} += $amount;
}
require List::Util;
require Encode;
require Digest::SHA;
print strftime('%Y', gmtime 0), ' ', List::Util::sum(values %total), "\n";
print Digest::SHA::sha1_hex(join ',', sort keys %total), "\n";
print length(Encode::decode('iso-8859-15', "\xa4")), "\n";
open my $sorted, '-|', 'sort', '-r', $ARGV[0] or die "sort: $!";
print while <$sorted>;
print "ja\n" if "\x{e4}" =~ /\p{Lowercase_Letter}/u;
END
  printf '%s\n' apple,3 pear,4 apple,5 | put "$1" /batch/input.csv
  put "$1" /elsewhere/unused.csv <<<'never,1'
}

exercise() { :; }
