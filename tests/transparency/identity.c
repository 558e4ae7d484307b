// Who a process is to the kernel: IDs, groups, capabilities, and what prctl(2) and /proc tell of it.
#include "transparency.h"
#include <sys/fsuid.h>

static void identifiers(void)
{
	uid_t uids[3];
	gid_t gids[3], groups[1024];
	getresuid(&uids[0], &uids[1], &uids[2]);
	getresgid(&gids[0], &gids[1], &gids[2]);
	show("identity", "users %u %u %u, file system %d", uids[0], uids[1], uids[2], setfsuid(-1));
	show("identity", "groups %u %u %u, file system %d", gids[0], gids[1], gids[2], setfsgid(-1));
	int count = getgroups(1024, groups);
	show("identity", "%d more groups", count);
	for (int i = 0; i < count; i++)
		show("identity", "also in %u", groups[i]);
}

static void process_attributes(void)
{
	int value = -1;
	show("attribute", "securebits %#x", prctl(PR_GET_SECUREBITS));
	show("attribute", "keep capabilities %d", prctl(PR_GET_KEEPCAPS));
	show("attribute", "dumpable %d", prctl(PR_GET_DUMPABLE));
	show("attribute", "timer slack %d", prctl(PR_GET_TIMERSLACK));
	prctl(PR_GET_PDEATHSIG, &value);
	show("attribute", "parent death signal %d", value);
	prctl(PR_GET_CHILD_SUBREAPER, &value);
	show("attribute", "subreaper %d", value);
	show("attribute", "no huge pages %d", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
	show("attribute", "machine checks %d", prctl(PR_MCE_KILL_GET, 0, 0, 0, 0));
	show("attribute", "store bypass %d, indirect branches %d", prctl(PR_GET_SPECULATION_CTRL, 0, 0, 0, 0),
		prctl(PR_GET_SPECULATION_CTRL, 1, 0, 0, 0));
	for (unsigned long ambient = 0; ambient < 64; ambient++)
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, ambient, 0, 0) == 1)
			show("attribute", "ambient capability %lu", ambient);
}

static void told_by_proc(void)
{
	static const char *const files[] = {"oom_score_adj", "loginuid", "coredump_filter", "personality", "uid_map",
		"gid_map", "setgroups", "timens_offsets"};
	static const char *const lines[] = {"Name", "Umask", "Uid", "Gid", "Groups", "Threads", "SigPnd", "ShdPnd",
		"SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "CoreDumping", "THP_enabled",
		"Speculation_Store_Bypass", "SpeculationIndirectBranch", "Cpus_allowed", "Mems_allowed_list"};
	char path[64];
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "/proc/self/%s", files[i]);
		show("proc", "%s %s", files[i], text_of(path));
	}
	const char *status = text_of("/proc/self/status");
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		const char *value = field(status, lines[i]);
		show("status", "%s %s", lines[i], value ? value : "is not there");
	}
	// Behind the name, which may hold blanks: fields 3 and up of proc_pid_stat(5).
	char *stat = strrchr(text_of("/proc/self/stat"), ')');
	int number = 2;
	for (char *word = strtok(stat, " "); word; word = strtok(NULL, " "), number++)
		if (number == 7 || number == 38 || number == 40 || number == 41)
			show("stat", "field %d is %s", number, word);
}

void see_identity(void)
{
	identifiers();
	process_attributes();
	told_by_proc();
}
