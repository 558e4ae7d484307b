//! System call numbers per calling convention, from the kernel's own tables; sorted by number.

/// Number and name of each call that [`super::CALLS`] describes.
pub type Numbers = &'static [(u32, &'static str)];

/// arch/x86/entry/syscalls/syscall_64.tbl.
#[rustfmt::skip]
pub const X86_64: Numbers = &[
    (2, "open"), (4, "stat"), (6, "lstat"), (21, "access"), (42, "connect"), (49, "bind"),
    (50, "listen"), (56, "clone"), (59, "execve"), (76, "truncate"), (78, "getdents"),
    (80, "chdir"), (81, "fchdir"), (82, "rename"), (83, "mkdir"), (84, "rmdir"), (85, "creat"),
    (86, "link"), (87, "unlink"), (88, "symlink"), (89, "readlink"), (90, "chmod"), (91, "fchmod"),
    (92, "chown"), (93, "fchown"), (94, "lchown"), (101, "ptrace"), (105, "setuid"),
    (106, "setgid"), (113, "setreuid"), (114, "setregid"), (117, "setresuid"), (119, "setresgid"),
    (122, "setfsuid"), (123, "setfsgid"), (132, "utime"), (133, "mknod"), (134, "uselib"),
    (137, "statfs"), (155, "pivot_root"), (157, "prctl"), (161, "chroot"), (165, "mount"),
    (188, "setxattr"), (189, "lsetxattr"), (190, "fsetxattr"), (191, "getxattr"),
    (192, "lgetxattr"), (194, "listxattr"), (195, "llistxattr"), (197, "removexattr"),
    (198, "lremovexattr"), (199, "fremovexattr"), (217, "getdents64"), (235, "utimes"),
    (254, "inotify_add_watch"), (257, "openat"), (258, "mkdirat"), (259, "mknodat"),
    (260, "fchownat"), (261, "futimesat"), (262, "newfstatat"), (263, "unlinkat"),
    (264, "renameat"), (265, "linkat"), (266, "symlinkat"), (267, "readlinkat"), (268, "fchmodat"),
    (269, "faccessat"), (272, "unshare"), (280, "utimensat"), (301, "fanotify_mark"),
    (303, "name_to_handle_at"), (308, "setns"), (316, "renameat2"), (317, "seccomp"),
    (322, "execveat"), (332, "statx"), (425, "io_uring_setup"), (428, "open_tree"),
    (429, "move_mount"), (435, "clone3"), (437, "openat2"), (439, "faccessat2"), (452, "fchmodat2"),
    (463, "setxattrat"), (464, "getxattrat"), (465, "listxattrat"), (466, "removexattrat"),
];

/// arch/x86/entry/syscalls/syscall_32.tbl.
#[rustfmt::skip]
pub const I386: Numbers = &[
    (5, "open"), (8, "creat"), (9, "link"), (10, "unlink"), (11, "execve"), (12, "chdir"),
    (14, "mknod"), (15, "chmod"), (16, "lchown"), (18, "oldstat"), (21, "mount"), (23, "setuid"),
    (26, "ptrace"), (30, "utime"), (33, "access"), (38, "rename"), (39, "mkdir"), (40, "rmdir"),
    (46, "setgid"), (61, "chroot"), (70, "setreuid"), (71, "setregid"), (83, "symlink"),
    (84, "oldlstat"), (85, "readlink"), (86, "uselib"), (92, "truncate"), (94, "fchmod"),
    (95, "fchown"), (99, "statfs"), (102, "socketcall"), (106, "stat"), (107, "lstat"),
    (120, "clone"), (133, "fchdir"), (138, "setfsuid"), (139, "setfsgid"), (141, "getdents"),
    (164, "setresuid"), (170, "setresgid"), (172, "prctl"), (182, "chown"), (193, "truncate64"),
    (195, "stat64"), (196, "lstat64"), (198, "lchown32"), (203, "setreuid32"), (204, "setregid32"),
    (207, "fchown32"), (208, "setresuid32"), (210, "setresgid32"), (212, "chown32"),
    (213, "setuid32"), (214, "setgid32"), (215, "setfsuid32"), (216, "setfsgid32"),
    (217, "pivot_root"), (220, "getdents64"), (226, "setxattr"), (227, "lsetxattr"),
    (228, "fsetxattr"), (229, "getxattr"), (230, "lgetxattr"), (232, "listxattr"),
    (233, "llistxattr"), (235, "removexattr"), (236, "lremovexattr"), (237, "fremovexattr"),
    (268, "statfs64"), (271, "utimes"), (292, "inotify_add_watch"), (295, "openat"),
    (296, "mkdirat"), (297, "mknodat"), (298, "fchownat"), (299, "futimesat"), (300, "fstatat64"),
    (301, "unlinkat"), (302, "renameat"), (303, "linkat"), (304, "symlinkat"), (305, "readlinkat"),
    (306, "fchmodat"), (307, "faccessat"), (310, "unshare"), (320, "utimensat"),
    (339, "fanotify_mark"), (341, "name_to_handle_at"), (346, "setns"), (353, "renameat2"),
    (354, "seccomp"), (358, "execveat"), (361, "bind"), (362, "connect"), (363, "listen"),
    (383, "statx"), (412, "utimensat_time64"), (425, "io_uring_setup"), (428, "open_tree"),
    (429, "move_mount"), (435, "clone3"), (437, "openat2"), (439, "faccessat2"), (452, "fchmodat2"),
    (463, "setxattrat"), (464, "getxattrat"), (465, "listxattrat"), (466, "removexattrat"),
];

/// include/uapi/asm-generic/unistd.h.
#[rustfmt::skip]
pub const AARCH64: Numbers = &[
    (5, "setxattr"), (6, "lsetxattr"), (7, "fsetxattr"), (8, "getxattr"), (9, "lgetxattr"),
    (11, "listxattr"), (12, "llistxattr"), (14, "removexattr"), (15, "lremovexattr"),
    (16, "fremovexattr"), (27, "inotify_add_watch"), (33, "mknodat"), (34, "mkdirat"),
    (35, "unlinkat"), (36, "symlinkat"), (37, "linkat"), (38, "renameat"), (40, "mount"),
    (41, "pivot_root"), (43, "statfs"), (45, "truncate"), (48, "faccessat"), (49, "chdir"),
    (50, "fchdir"), (51, "chroot"), (52, "fchmod"), (53, "fchmodat"), (54, "fchownat"),
    (55, "fchown"), (56, "openat"), (61, "getdents64"), (78, "readlinkat"), (79, "newfstatat"),
    (88, "utimensat"), (97, "unshare"), (117, "ptrace"), (143, "setregid"), (144, "setgid"),
    (145, "setreuid"), (146, "setuid"), (147, "setresuid"), (149, "setresgid"), (151, "setfsuid"),
    (152, "setfsgid"), (167, "prctl"), (200, "bind"), (201, "listen"), (203, "connect"),
    (220, "clone"), (221, "execve"), (263, "fanotify_mark"), (264, "name_to_handle_at"),
    (268, "setns"), (276, "renameat2"), (277, "seccomp"), (281, "execveat"), (291, "statx"),
    (425, "io_uring_setup"), (428, "open_tree"), (429, "move_mount"), (435, "clone3"),
    (437, "openat2"), (439, "faccessat2"), (452, "fchmodat2"), (463, "setxattrat"),
    (464, "getxattrat"), (465, "listxattrat"), (466, "removexattrat"),
];

/// arch/arm/tools/syscall.tbl.
#[rustfmt::skip]
pub const ARM: Numbers = &[
    (5, "open"), (8, "creat"), (9, "link"), (10, "unlink"), (11, "execve"), (12, "chdir"),
    (14, "mknod"), (15, "chmod"), (16, "lchown"), (21, "mount"), (23, "setuid"), (26, "ptrace"),
    (33, "access"), (38, "rename"), (39, "mkdir"), (40, "rmdir"), (46, "setgid"), (61, "chroot"),
    (70, "setreuid"), (71, "setregid"), (83, "symlink"), (85, "readlink"), (86, "uselib"),
    (92, "truncate"), (94, "fchmod"), (95, "fchown"), (99, "statfs"), (106, "stat"), (107, "lstat"),
    (120, "clone"), (133, "fchdir"), (138, "setfsuid"), (139, "setfsgid"), (141, "getdents"),
    (164, "setresuid"), (170, "setresgid"), (172, "prctl"), (182, "chown"), (193, "truncate64"),
    (195, "stat64"), (196, "lstat64"), (198, "lchown32"), (203, "setreuid32"), (204, "setregid32"),
    (207, "fchown32"), (208, "setresuid32"), (210, "setresgid32"), (212, "chown32"),
    (213, "setuid32"), (214, "setgid32"), (215, "setfsuid32"), (216, "setfsgid32"),
    (217, "getdents64"), (218, "pivot_root"), (226, "setxattr"), (227, "lsetxattr"),
    (228, "fsetxattr"), (229, "getxattr"), (230, "lgetxattr"), (232, "listxattr"),
    (233, "llistxattr"), (235, "removexattr"), (236, "lremovexattr"), (237, "fremovexattr"),
    (266, "statfs64"), (269, "utimes"), (282, "bind"), (283, "connect"), (284, "listen"),
    (317, "inotify_add_watch"), (322, "openat"), (323, "mkdirat"), (324, "mknodat"),
    (325, "fchownat"), (326, "futimesat"), (327, "fstatat64"), (328, "unlinkat"), (329, "renameat"),
    (330, "linkat"), (331, "symlinkat"), (332, "readlinkat"), (333, "fchmodat"), (334, "faccessat"),
    (337, "unshare"), (348, "utimensat"), (368, "fanotify_mark"), (370, "name_to_handle_at"),
    (375, "setns"), (382, "renameat2"), (383, "seccomp"), (387, "execveat"), (397, "statx"),
    (412, "utimensat_time64"), (425, "io_uring_setup"), (428, "open_tree"), (429, "move_mount"),
    (435, "clone3"), (437, "openat2"), (439, "faccessat2"), (452, "fchmodat2"), (463, "setxattrat"),
    (464, "getxattrat"), (465, "listxattrat"), (466, "removexattrat"),
];
