"""A seccomp filter as plain BPF: system calls that no notebook needs and that have broken jails before do not exist.

What is not named here is allowed, up to the newest call known when this list was made; newer ones answer "no such call",
for which every C library has a fallback.
"""

from __future__ import annotations

import ctypes
import struct

from autograder.sandbox import linux

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_COLUMN = {"x86_64": 0, "aarch64": 1}

#: name → numbers on x86_64 and aarch64 (linux/unistd.h); None where the architecture has no such call.
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    # namespaces, mounts, roots
    **{"unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41)},
    **{"chroot": (161, 51), "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430)},
    **{"fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442)},
    # other processes
    **{"ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272)},
    **{"process_madvise": (440, 440), "process_mrelease": (448, 448), "pidfd_getfd": (438, 438)},
    # corners of the kernel with a long record of holes
    **{"bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425)},
    **{"io_uring_enter": (426, 426), "io_uring_register": (427, 427), "add_key": (248, 217), "keyctl": (250, 219)},
    **{"request_key": (249, 218), "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264)},
    **{"fanotify_init": (300, 262), "memfd_secret": (447, 447), "mbind": (237, 235), "migrate_pages": (256, 238)},
    **{"move_pages": (279, 239), "modify_ldt": (154, None), "lookup_dcookie": (212, 18), "uselib": (134, None)},
    # the machine's own affairs
    **{"kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273)},
    **{"delete_module": (176, 106), "create_module": (174, None), "query_module": (178, None), "reboot": (169, 142)},
    **{"get_kernel_syms": (177, None), "quotactl": (179, 60), "quotactl_fd": (443, 443), "swapon": (167, 224)},
    **{"swapoff": (168, 225), "syslog": (103, 116), "acct": (163, 89), "settimeofday": (164, 170)},
    **{"clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266), "iopl": (172, None)},
    **{"ioperm": (173, None), "vhangup": (153, 58), "ustat": (136, None), "sysfs": (139, None)},
    **{"_sysctl": (156, None), "nfsservctl": (180, 42), "sethostname": (170, 161), "setdomainname": (171, 162)},
}
#: Where namespaces do not part a child from other processes, it may not reach them by these either.
_SHARED: dict[str, tuple[int | None, int | None]] = {
    **{"msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180), "socket": (41, 198)},
    **{"connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "accept": (43, 202), "accept4": (288, 242)},
    # and may not see what they do with files
    **{"inotify_init": (253, None), "inotify_init1": (294, 26), "listmount": (458, 458), "statmount": (457, 457)},
}
#: Calls that act on a process named by an argument, which then must be 0, the caller: name → (numbers, position).
_ON_ONESELF: dict[str, tuple[tuple[int | None, int | None], int]] = {
    **{"prlimit64": ((302, 261), 0), "sched_setaffinity": ((203, 122), 0), "sched_setparam": ((142, 118), 0)},
    **{"sched_setscheduler": ((144, 119), 0), "sched_setattr": ((314, 274), 0), "setpriority": ((141, 140), 1)},
    **{"ioprio_set": ((251, 30), 1)},
}
_MEMFD_CREATE, _SHMGET, _SOCKET, _SOCKETPAIR = (319, 279), (29, 194), (41, 198), (53, 199)
_CLONE, _CLONE3, _IOCTL, _PERSONALITY, _PRCTL = (56, 220), (435, 435), (16, 29), (135, 92), (157, 167)
_PR_SET_PDEATHSIG = 1
_NEWER = 463
_X32 = 0x40000000

_NEW_NAMESPACES = (
    linux.CLONE_NEWNS
    | linux.CLONE_NEWCGROUP
    | linux.CLONE_NEWUTS
    | linux.CLONE_NEWIPC
    | linux.CLONE_NEWUSER
    | linux.CLONE_NEWPID
    | linux.CLONE_NEWNET
)
_FAMILIES = (1, 2, 10)  # unix, inet, inet6: not vsock, netlink, packet, …
_CONNECTED_KINDS = (1, 5)  # stream, seqpacket: a datagram could name another receiver
_TERMINAL_INJECTION = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX

_ALLOW, _KILL, _EPERM, _ENOSYS, _PRETEND = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ARCH_AT, _NUMBER_AT, _ARGUMENTS_AT = 4, 0, 16  # in struct seccomp_data; both architectures are little-endian


def supported() -> bool:
    """Whether there is a filter for this architecture."""
    return linux.machine() in _AUDIT_ARCH


def program(*, namespaces: bool, anonymous_files: bool) -> list[tuple[int, int, int, int]]:
    """The filter as BPF instructions ``(code, jump if true, jump if false, k)``.

    Args:
        namespaces: the process has network and IPC namespaces of its own, so sockets reach nobody.
        anonymous_files: memory is bounded by a control group, so memory may be held that is in no process.
    """
    column = _COLUMN[linux.machine()]
    denied = [numbers[column] for numbers in _NUMBERS.values()]
    if not namespaces:
        denied += [numbers[column] for numbers in _SHARED.values()]
    if not anonymous_files:
        denied += [_MEMFD_CREATE[column], _SHMGET[column]]
    code = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_EQUAL, 1, 0, _AUDIT_ARCH[linux.machine()]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL),
        (_AT_LEAST, 0, 1, _NEWER),
        (_RETURN, 0, 0, _ENOSYS),
        (_EQUAL, 0, 1, _CLONE3[column]),
        (_RETURN, 0, 0, _ENOSYS),  # the C library then uses clone, whose flags can be looked at
    ]
    for number in denied:
        if number is not None:
            code += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _EPERM)]
    code += _when(_CLONE[column], 0, [(_ANY_BIT, 0, 1, _NEW_NAMESPACES), (_RETURN, 0, 0, _EPERM)])
    code += _when(_IOCTL[column], 1, _refuse(_TERMINAL_INJECTION))
    # The signal at the server's death stays what it is; torch sets one for its workers and must hear no error.
    code += _when(_PRCTL[column], 0, [(_EQUAL, 0, 1, _PR_SET_PDEATHSIG), (_RETURN, 0, 0, _PRETEND)])
    code += _when(_PERSONALITY[column], 0, _only((0, 0xFFFFFFFF)))
    if not namespaces:
        for numbers, position in _ON_ONESELF.values():
            code += _when(numbers[column], position, _only((0,)))
    if namespaces:
        code += _when(_SOCKET[column], 0, _only(_FAMILIES))
    else:
        code += _when(_SOCKETPAIR[column], 1, [(_AND, 0, 0, 0xF), *_only(_CONNECTED_KINDS)])
    return [*code, (_RETURN, 0, 0, _ALLOW)]


def _when(number: int | None, argument: int, body: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """For one call: look at the low half of an argument, and allow it when ``body`` does not return."""
    if number is None:
        return []
    inner = [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument), *body, (_RETURN, 0, 0, _ALLOW)]
    return [(_EQUAL, 0, len(inner), number), *inner]


def _refuse(values: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    return [line for value in values for line in ((_EQUAL, 0, 1, value), (_RETURN, 0, 0, _EPERM))]


def _only(values: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    allowed = [line for value in values for line in ((_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW))]
    return [*allowed, (_RETURN, 0, 0, _EPERM)]


def install(*, namespaces: bool, anonymous_files: bool) -> None:
    """Put the filter on this process and its descendants; needs :func:`linux.no_new_privileges` before.

    Raises:
        OSError: the kernel refuses, or there is no filter for this architecture.
    """
    if not supported():
        raise OSError(38, f"no seccomp filter for {linux.machine()}")
    lines = program(namespaces=namespaces, anonymous_files=anonymous_files)
    packed = b"".join(struct.pack("<HBBI", *line) for line in lines)

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    buffer = ctypes.create_string_buffer(packed, len(packed))
    wanted = Program(len(lines), ctypes.cast(buffer, ctypes.c_void_p))
    if linux._libc.prctl(22, 2, ctypes.byref(wanted), 0, 0) < 0:  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
        raise OSError(ctypes.get_errno(), "seccomp")
