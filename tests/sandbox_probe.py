"""Runs inside the sandbox: what can be seen and done there. Every entry is one word or a short list, so that runs compare."""

SOURCE = '''
import ctypes, errno, os, signal, socket, stat, sys


def probe(places):
    """What of ``places`` (paths, a port and process numbers of the trusted side) can be reached, and what else can be done."""
    libc = ctypes.CDLL(None, use_errno=True)
    found = {}

    def note(name, action, *arguments):
        try:
            result = action(*arguments)
            found[name] = "done" if result is None or result is True else str(result)
        except OSError as error:
            found[name] = errno.errorcode.get(error.errno, str(error))

    def syscall(number, *arguments):
        ctypes.set_errno(0)
        if libc.syscall(ctypes.c_long(number), *arguments) < 0:
            raise OSError(ctypes.get_errno(), "")

    def read(path):
        with open(path, "rb") as file:
            file.read(1)

    def write(path):
        with open(path, "wb") as file:
            file.write(b"x")

    # files
    for name in ("shadow", "readme", "solution", "log", "secret", "home"):
        note(f"read {name}", read, places[name])
    note("read the server's environment", read, f"/proc/{places['server']}/environ")
    note("read the grader's memory", read, f"/proc/{places['grader']}/mem")
    # Python and this environment may lie below any top folder, and a machine may have some of lib32, lib64, libx32.
    system = {"bin", "dev", "etc", "lib", "proc", "sbin", "tmp", "usr"}
    above_python = {path.split(os.sep)[1] for path in (sys.prefix, sys.base_prefix, *sys.path) if path.startswith(os.sep)}
    varying = (above_python | {"lib32", "lib64", "libx32", "root"}) - system
    note("list /", lambda: " ".join(sorted(set(os.listdir("/")) - varying)))
    note("list /etc/ssl", os.listdir, "/etc/ssl")
    note("list /tmp of the machine", lambda: "seen" if places["folder"] in os.listdir("/tmp") else "not there")
    note("read Python", read, os.__file__)
    note("write Python", write, os.path.join(sys.prefix, "x"))
    note("write the course's copy", write, os.path.join(os.environ["NNLM_SHADOW"], "x"))
    note("write /usr", write, "/usr/x")
    note("write /etc", write, "/etc/x")
    note("write here", write, "x")
    note("write the temporary folder", write, os.path.join(os.environ["TMPDIR"], "x"))
    note("write /dev/shm", write, "/dev/shm/x")
    note("write home", write, os.path.expanduser("~/x"))
    note("make a device", os.mknod, "device", 0o600 | stat.S_IFBLK, os.makedev(254, 0))
    note("open the disk", read, "/dev/vda")
    note("open the kernel's log", read, "/dev/kmsg")
    note("use /dev/null", write, "/dev/null")
    note("link to a file outside", os.link, "/etc/passwd", "linked")
    note("make a set-uid program", lambda: os.chmod("x", 0o4755))

    # network
    def connect(family, address):
        with socket.socket(family, socket.SOCK_STREAM) as any_socket:
            any_socket.settimeout(2)
            any_socket.connect(address)

    def own_server():
        with socket.create_server(("127.0.0.1", 0)) as server:
            connect(socket.AF_INET, server.getsockname())

    def datagram():
        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        left.sendto(b"x", places["unix"])

    note("connect to the machine", connect, socket.AF_INET, ("127.0.0.1", places["port"]))
    note("connect to a unix socket", connect, socket.AF_UNIX, places["unix"])
    note("connect to an abstract socket", connect, socket.AF_UNIX, chr(0) + places["abstract"])
    note("send a datagram to a unix socket", datagram)
    note("connect to the world", connect, socket.AF_INET, ("192.0.2.1", 80))
    note("talk to itself", own_server)
    for name, family in (("netlink", 16), ("packet", 17), ("vsock", 40)):
        note(f"{name} socket", lambda: socket.socket(family, socket.SOCK_RAW if family != 40 else socket.SOCK_STREAM).close())

    # processes
    others = {str(places["grader"]), str(places["parent"])}
    note("processes seen", lambda: "others" if others & set(_pids()) else "own")
    note("signal the grader", os.kill, places["grader"], 0)
    note("signal the server", os.kill, places["server"], 0)
    note("become root", os.setuid, 0)
    note("run a program", lambda: os.system("true"))
    note("raise a limit", _raise_limit)

    # rights
    status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
    for name in ("CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"):
        found[name] = status[name].strip()
    found["user"] = "root" if os.getuid() == 0 else "another"
    found["groups"] = str(len(os.getgroups()))

    # system calls, on x86-64
    numbers = {
        "unshare": (272, 0x10000000), "setns": (308, 0, 0), "mount": (165, b"x", b"/", b"tmpfs", 0, None), "chroot": (161, b"/"),
        "pivot_root": (155, b".", b"."), "ptrace": (101, 0, 0, 0, 0), "process_vm_readv": (310, os.getpid(), None, 0, None, 0, 0),
        "bpf": (321, 0, None, 0), "perf_event_open": (298, None, 0, -1, -1, 0), "userfaultfd": (323, 1),
        "io_uring_setup": (425, 1, None), "keyctl": (250, 0, 0), "add_key": (248, b"user", b"x", b"x", 1, -2),
        "open_by_handle_at": (304, 0, None, 0), "kexec_load": (246, 0, 0, None, 0), "init_module": (175, None, 0, b""),
        "reboot": (169, 0, 0, 0, None), "swapon": (167, b"x", 0), "settimeofday": (164, None, None), "iopl": (172, 3),
        "clone3": (435, None, 0), "clone a user namespace": (56, 0x10000011, 0, 0, 0, 0), "personality": (135, 0x0040000),
        "memfd_create": (319, b"x", 0), "shmget": (29, 0, 4096, 0o1600), "mq_open": (240, b"x", 0o100, 0o600, None),
        "inject into a terminal": (16, 0, 0x5412, b"x"), "an unknown call": (500,),
    }
    for name, (number, *arguments) in numbers.items():
        note(f"call {name}", syscall, number, *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    return found


def _pids():
    try:
        return [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def _raise_limit():
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard * 2, hard * 2))
    except ValueError:
        raise PermissionError(1, "") from None
'''
