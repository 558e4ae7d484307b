# shellcheck shell=bash disable=SC2034
# CPython's own tests, as Debian packages them.

modules=(test_signal test_os test_threading test_subprocess test_posix test_fork1 test_wait4
  test_multiprocessing_fork test_pty test_shutil test_glob test_pathlib)

prepare() { :; }

# command_of MODULE
command_of() { words=(/usr/bin/python3 -m test --verbose "$1"); }

# verdicts FILE: each test's name and how it ended, sorted. The end may stand behind the name or, where the
# test has a description or prints something, on a later line.
verdicts() {
  awk '
    match($0, /^test[A-Za-z0-9_]* \([A-Za-z0-9_.]+\)/) { name = substr($0, RSTART, RLENGTH) }
    name != "" && match($0, /(ok|FAIL|ERROR|skipped|expected failure)( .*)?$/) && /( \.\.\. |^)(ok|FAIL|ERROR|skipped|expected failure)/ {
      split(substr($0, RSTART), word, " "); print name, word[1]; name = ""
    }
  ' "$1" | sort
}
